"""Where a network looked, from graphs that are made here."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from graft.common.arrays import Joined
from graft.evaluation.looks import NO_LOOKS, find_looks, read_weights
from graft.models.inference import run_graph
from graft.parts.rows import Rows

SIDE, CHANNELS, CLASSES = 6, 5, 3


def save(path: Path, first: bool = False, kind: str = "mean", hidden: bool = False) -> np.ndarray:
    """Saves a network of one convolution; returns the weights of its head, (channels, classes).

    Args:
        path: the `.xml`.
        first: whether its map has the channels first.
        kind: `mean` or `max`, how the map is pooled.
        hidden: whether the head has a layer before its output, so that it is no sum.
    """
    generator = np.random.default_rng(1)
    kernel = generator.normal(0, 0.02, (CHANNELS, 3, 2, 2)).astype(np.float32)
    weights = generator.normal(0, 1, (CHANNELS, CLASSES)).astype(np.float32)
    pixels = ops.parameter([-1, SIDE, SIDE, 3], np.float32)
    x = ops.transpose(pixels, np.array([0, 3, 1, 2]))
    x = ops.convolution(x, kernel, [2, 2], [0, 0], [0, 0], [1, 1])
    x = ops.relu(x)
    if not first:
        x = ops.transpose(x, np.array([0, 2, 3, 1]))
    axes = np.array([2, 3] if first else [1, 2])
    x = (ops.reduce_mean if kind == "mean" else ops.reduce_max)(x, axes)
    # Standardised, as the features of a head are.
    x = ops.multiply(ops.subtract(x, np.float32(0.5)), np.float32(2))
    if hidden:
        x = ops.relu(ops.matmul(x, np.eye(CHANNELS, dtype=np.float32), False, False))
    x = ops.softmax(ops.add(ops.matmul(x, weights, False, False), np.float32(1)), 1)
    ov.save_model(ov.Model([x], [pixels]), path, compress_to_fp16=False)
    return 2 * weights.astype(np.float64)


def rows(n: int, graph: Path) -> tuple[Rows, np.ndarray]:
    """Images with labels of which about two thirds are not what the network says."""
    generator = np.random.default_rng(2)
    pixels = generator.integers(0, 256, (n, SIDE, SIDE, 3)).astype(np.float32)
    shares = np.concatenate(list(run_graph(graph, pixels)))
    labels = generator.integers(0, CLASSES, n)
    names = tuple(map(str, range(n)))
    return Rows(names, names, labels, ("a", "b", "c"), Joined([pixels]), np.arange(n)), shares


@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
def test_places_add_up_to_the_answer(tmp_path: Path, first: bool) -> None:
    graph = tmp_path / "graph.xml"
    weights = save(graph, first)
    assert read_weights(graph) == pytest.approx(weights, abs=1e-4)
    test, shares = rows(40, graph)
    looks = find_looks(graph, test, shares)
    predicted = shares.argmax(1)
    assert looks.rows.tolist() == np.flatnonzero(predicted != test.labels).tolist()
    assert looks.maps.shape == (len(looks.rows), 3, 3)
    assert (looks.maps.max((1, 2)) == 255).all()
    # The map by hand, of the lower part of the network in plain arithmetic.
    kernel = np.random.default_rng(1).normal(0, 0.02, (CHANNELS, 3, 2, 2)).astype(np.float32)
    for row, found in zip(looks.rows, looks.maps, strict=True):
        blocks = test[np.array([row])][0].reshape(3, 2, 3, 2, 3)
        features = np.maximum(np.einsum("hawbc,dcab->hwd", blocks, kernel), 0)
        added = features @ (weights[:, predicted[row]] - weights[:, test.labels[row]])
        expected = 255 * np.maximum(added, 0) / added.max()
        assert found == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("options", [{"kind": "max"}, {"hidden": True}], ids=["max", "hidden"])
def test_a_network_that_is_no_sum_has_no_looks(tmp_path: Path, options: dict) -> None:
    graph = tmp_path / "graph.xml"
    save(graph, **options)
    test, shares = rows(10, graph)
    assert read_weights(graph) is None
    assert find_looks(graph, test, shares) is NO_LOOKS


def test_without_a_mistake_there_is_nothing_to_see(tmp_path: Path) -> None:
    graph = tmp_path / "graph.xml"
    save(graph)
    test, _ = rows(10, graph)
    right = np.eye(CLASSES)[test.labels]
    assert find_looks(graph, test, right) is NO_LOOKS
