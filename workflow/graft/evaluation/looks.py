"""What a network looked at where it was wrong: class activation maps (Zhou et al. 2016).

The logits of a network whose last map is averaged over its places, and then goes through layers
that are affine together, are a sum over these places. So it is known exactly what each place adds:
no gradients, and no network that was trained for it (arXiv:1512.04150).
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from graft.common.arrays import Chosen, in_batches
from graft.models.inference import run_batches
from graft.parts.rows import LabelledRows

_MOST = 1000  # images; nobody looks at more
_TOLERANCE = 1e-3  # of the largest logit, for layers that are taken as affine


class Looks(NamedTuple):
    """Where a network looked.

    Attributes:
        rows: int64 (k,), of the images, rising.
        maps: uint8 (k, height, width), what each place adds to the logit of the predicted class
            less that of the true one: 255 where most, 0 where nothing or less.
    """

    rows: np.ndarray
    maps: np.ndarray


NO_LOOKS = Looks(np.zeros(0, np.int64), np.zeros((0, 0, 0), np.uint8))


def find_looks(graph: Path, test: LabelledRows, probabilities: np.ndarray) -> Looks:
    """What a network looked at in the surest 1,000 of the images that it gets wrong.

    Args:
        graph: from pixels to probabilities, the `.xml` file.
        test: the images.
        probabilities: float (n, classes), of the network.

    Returns:
        No image where the network is not of this kind, such as one with maximum pooling.
    """
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != test.labels)
    surest = np.argsort(-probabilities[wrong].max(1), kind="stable")[:_MOST]
    rows = np.sort(wrong[surest])
    weights = read_weights(graph) if len(rows) else None
    if weights is None:
        return NO_LOOKS
    towards = (weights[:, predicted[rows]] - weights[:, test.labels[rows]]).T
    found = []
    with tempfile.TemporaryDirectory() as folder:
        lower = _save_lower(graph, Path(folder) / "map.xml")
        outputs = run_batches(lower, in_batches(Chosen(test, rows)))
        for maps, own in zip(outputs, in_batches(towards), strict=True):
            last = maps if maps.shape[3] == len(weights) else np.moveaxis(maps, 1, 3)
            added = np.maximum(np.einsum("nhwd,nd->nhw", last, own), 0)
            most = added.max((1, 2), keepdims=True)
            found.append(np.round(255 * added / np.where(most > 0, most, 1)).astype(np.uint8))
    return Looks(rows, np.concatenate(found))


def read_weights(graph: Path) -> np.ndarray | None:
    """What a feature adds to the logits: float64 (features, classes); None where it is no sum.

    Args:
        graph: the `.xml` file.
    """
    import openvino as ov
    from openvino import opset13 as ops

    model = ov.Core().read_model(graph)
    pooling, softmax = _find_ends(model)
    if pooling is None or softmax is None:
        return None
    width = pooling.get_output_partial_shape(0)[1].get_length()
    features = ops.parameter([-1, width], np.float32)
    for target in pooling.output(0).get_target_inputs():
        target.replace_source_output(features.output(0))
    try:
        upper = ov.Model([softmax.input_value(0)], [features])
    except RuntimeError:  # the pixels go there in another way, too
        return None
    run = ov.Core().compile_model(upper, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def logits(rows: np.ndarray) -> np.ndarray:
        return run(rows.astype(np.float32))[0].astype(np.float64)

    start = logits(np.zeros((1, width)))
    weights = logits(np.eye(width)) - start
    tried = np.random.default_rng(1).uniform(0, 2, (4, width))
    expected, found = start + tried @ weights, logits(tried)
    close = np.abs(found - expected).max() <= _TOLERANCE * np.abs(found).max()
    return weights if close else None


def _save_lower(graph: Path, path: Path) -> Path:
    """Saves the graph from pixels to the last map."""
    import openvino as ov

    model = ov.Core().read_model(graph)
    pooling, _ = _find_ends(model)
    lower = ov.Model([pooling.input_value(0)], model.get_parameters())
    ov.save_model(lower, path, compress_to_fp16=False)
    return path


def _find_ends(model):
    """The last average over places, and the softmax; None for each that there is not."""
    pooling = softmax = None
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "Softmax":
            softmax = node
        elif kind == "ReduceMean" and len(node.get_input_partial_shape(0)) == 4:
            axes = node.input_value(1).get_node()
            known = axes.get_type_name() == "Constant" and sorted(axes.data.ravel())
            flat = len(node.get_output_partial_shape(0)) == 2
            # The map may have its channels last or first.
            pooling = node if flat and known in ([1, 2], [2, 3]) else None
    return pooling, softmax
