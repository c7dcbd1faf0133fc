"""The head on a backbone as one model, joined from their files without Keras."""

from pathlib import Path
from typing import NamedTuple

from graft.models.keras_files import join_keras, open_keras


class JoinedModel(NamedTuple):
    """A model from pixels 0–255 to class probabilities, of which no part was changed.

    Attributes:
        network: the backbone from pixels to the features, `.keras`.
        depths: the graph from pixels to the features of all depths, `.xml`.
        start: the first column of the features among these.
        head: from the features to class probabilities, `.keras`, with the graph `.xml` beside it.
        name: of the model.
        inputs: the name of its input.
    """

    network: Path
    depths: Path
    start: int
    head: Path
    name: str = "finetuned"
    inputs: str = "pixels"

    def count_parameters(self) -> int:
        """How many parameters the backbone and the head have."""
        with open_keras(self.network) as network, open_keras(self.head) as head:
            return network.count_parameters() + head.count_parameters()

    def save(self, path: Path) -> None:
        """Saves it as `.keras`."""
        with open_keras(self.network) as network, open_keras(self.head) as head:
            join_keras(path, network, head, self.name)

    def save_graph(self, path: Path) -> None:
        """Saves it as an OpenVINO graph in float32: `.xml`, with its weights beside it."""
        import openvino as ov

        core = ov.Core()
        network, head = (core.read_model(p) for p in (self.depths, self.head.with_suffix(".xml")))
        (features,) = head.get_parameters()
        width = features.get_output_partial_shape(0)[1].get_length()
        source = _find_columns(network.get_results()[0].input_value(0), self.start, width)
        for node in head.get_ordered_ops():
            if node is not features:
                node.set_friendly_name(f"head/{node.get_friendly_name()}")
        for target in features.output(0).get_target_inputs():
            target.replace_source_output(source)
        whole = ov.Model(head.get_results(), network.get_parameters(), self.name)
        ov.serialize(whole, path)


def _find_columns(output, start: int, width: int):
    """The output of a node that is some columns of another one, which may be of several nodes.

    Raises:
        RuntimeError: there are no such columns, which is a bug.
    """
    from openvino import opset16 as ops

    if start == 0 and output.get_partial_shape()[1].get_length() == width:
        return output
    node, first, found = output.get_node(), 0, []
    for port in node.input_values() if node.get_type_name() == "Concat" else ():
        if start <= first < start + width:
            found.append(port)
        first += port.get_partial_shape()[1].get_length()
    if not found or sum(p.get_partial_shape()[1].get_length() for p in found) != width:
        raise RuntimeError(f"the graph has no features of the width {width} from {start} on")
    return found[0] if len(found) == 1 else ops.concat(found, 1).output(0)
