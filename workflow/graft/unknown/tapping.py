"""A graph that gives the features beside the probabilities, at the cost of one run."""

from pathlib import Path
from typing import Any

import numpy as np


def tap_features(graph: Path, path: Path) -> int:
    """Saves a graph that gives what its network hands to the head, too.

    These features are the first of the vectors that lead to the answer; of a head alone they are
    its input. The probabilities are those of the graph, bit by bit: the features come from a copy
    of the operation that makes them. If its own output were read as well, OpenVINO would no longer
    compute it together with what follows, and the last bits of probabilities would change.

    Args:
        graph: the `.xml` file, from pixels or features to float32 (batch, classes).
        path: the new `.xml` file, with its `.bin` beside it: to float32 (batch, width + classes).

    Returns:
        The width of the features.

    Raises:
        ValueError: the graph has no such vector.
    """
    import openvino as ov
    from openvino import opset13 as ops

    core = ov.Core()
    model, copy = core.read_model(graph), core.read_model(graph)
    features, answer = find_features(model), model.get_results()[0].input_value(0)
    inputs = features.get_node().inputs()
    if inputs:
        copied = find_features(copy)
        for own, its in zip(inputs, copied.get_node().inputs(), strict=True):
            source = own.get_source_output()
            if source.get_node().get_type_name() != "Constant":
                # It changes no number. Without it, OpenVINO would see that both are the same.
                source = ops.maximum(source, np.finfo(np.float32).min).output(0)
                its.replace_source_output(source)
        features = copied
    both = ops.concat([features, answer], 1)
    ov.save_model(ov.Model([both], model.get_parameters()), path, compress_to_fp16=False)
    return features.get_partial_shape()[1].get_length()


def save_upper(graph: Path, path: Path) -> int:
    """Saves the part of a graph that leads from the features to the probabilities.

    Args:
        graph: the `.xml` file, from pixels to float32 (batch, classes).
        path: the new `.xml` file, with its `.bin` beside it: from float32 (batch, width).

    Returns:
        The width of the features.

    Raises:
        ValueError: the graph has no such vector.
    """
    import openvino as ov
    from openvino import opset13 as ops

    model = ov.Core().read_model(graph)
    features = find_features(model)
    width = features.get_partial_shape()[1].get_length()
    inputs = ops.parameter([-1, width], np.float32)
    for target in features.get_target_inputs():
        target.replace_source_output(inputs.output(0))
    upper = ov.Model(model.get_results(), [inputs])
    ov.save_model(upper, path, compress_to_fp16=False)
    return width


def find_features(model: Any) -> Any:
    """The output of a node that is the features.

    Args:
        model: of OpenVINO, with one input and one output.

    Raises:
        ValueError: there is no vector in front of the answer, or its width is not known.
    """
    answer = features = model.get_results()[0].input_value(0)
    while vectors := _vectors_into(features.get_node()):
        features = vectors[0]
    if features == answer or features.get_partial_shape()[1].is_dynamic:
        raise ValueError("the graph has no vector of features")
    return features


def _vectors_into(node: Any) -> list[Any]:
    """What goes into a node and is a vector for each image; weights are there for all of them."""
    sources = [given.get_source_output() for given in node.inputs()]
    shapes = [source.get_partial_shape() for source in sources]
    return [
        source
        for source, shape in zip(sources, shapes, strict=True)
        if shape.rank.is_static and len(shape) == 2 and shape[0].is_dynamic
    ]
