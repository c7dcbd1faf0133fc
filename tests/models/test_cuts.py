"""Where networks can be divided, and the features of several depths side by side."""

from typing import Any

import numpy as np
import pytest

from cases import read_cases
from graft.backbone.architectures import build_network
from graft.backbone.backbone import find_candidates
from graft.models.cuts import find_cuts
from graft.models.framework import keras
from graft.models.pooling import NETWORK, together, truncated
from graft.models.stacks import IMAGE_KINDS, read_stack
from graft.network.catalogue import NETWORKS, look_up
from trainings import backbone


def passed_by(body: Any, name: str) -> bool:
    """Whether the output of a network depends on its input by a way that leaves out one layer."""
    waiting, seen = [body.operations[-1]], set()
    produced = {id(operation.output): operation for operation in body.operations}
    while waiting:
        operation = waiting.pop()
        if operation.name == name or operation.name in seen:
            continue
        if operation is body.operations[0]:
            return True
        seen.add(operation.name)
        inputs = operation.input if isinstance(operation.input, list) else [operation.input]
        waiting += [produced[id(tensor)] for tensor in inputs]
    return False


@pytest.mark.parametrize("name", ["cnn", "MobileNetV2", "InceptionV3", "EfficientNetB0"])
def test_a_cut_is_what_nothing_passes_by(name: str) -> None:
    body = build_network(name, NETWORKS[name].sides[0])
    expected = [layer.name for layer in body.layers if not passed_by(body, layer.name)]
    found = find_cuts(body)
    assert found == expected
    assert found[0] == body.layers[0].name and found[-1] == body.layers[-1].name
    inside = {"cnn": "residual_64_2", "MobileNetV2": "block_5_depthwise", "InceptionV3": "mixed9_1"}
    assert inside.get(name, "block3b_se_reduce") not in found


@pytest.mark.parametrize("name", ["cnn", "MobileNetV2"])
def test_both_sides_of_a_cut_are_the_whole(name: str) -> None:
    body = build_network(name, 32)
    pixels = np.random.default_rng(1).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    whole = body(pixels, training=False)
    found = find_cuts(body)
    for cut in found[1 : -1 : max(1, len(found) // 6)]:
        between = body.get_layer(cut).output
        lower, upper = keras.Model(body.input, between), keras.Model(between, body.output)
        halves = upper(lower(pixels, training=False), training=False)
        assert np.array_equal(halves, whole), cut


@pytest.mark.parametrize("name, side, pooling, stack", read_cases(__file__)["networks"])
def test_the_columns_of_each_depth_are_the_features_of_that_layer(
    name: str, side: int, pooling: str, stack: tuple[str, ...]
) -> None:
    model = backbone(name, side, pooling=pooling, seed=3, stack=stack)
    layers = look_up(name, read_stack(stack, IMAGE_KINDS)).layers
    found = find_candidates(model, pooling)
    assert (found[0].layer, found[0].pooling) == (layers[-1], pooling)
    assert (found[0].start, found[0].layers) == (0, len(layers))
    assert [depth.layers for depth in found[1:]] == sorted({d.layers for d in found[1:]})
    assert all(layers[depth.layers - 1] == depth.layer for depth in found)
    assert all(depth.pooling == "avg" for depth in found[1:]) or pooling == "max"
    edges = np.cumsum([0, *(depth.width for depth in found)]).tolist()
    assert [depth.start for depth in found] == edges[:-1]

    pixels = np.random.default_rng(1).uniform(0, 255, (4, side, side, 3)).astype(np.float32)
    columns = np.asarray(together(model, found)(pixels, training=False))
    assert columns.shape == (4, edges[-1])
    assert np.array_equal(columns[:, : edges[1]], model(pixels, training=False))
    for depth in found:
        alone = truncated(model, depth.layer, depth.pooling)
        own = columns[:, depth.start : depth.start + depth.width]
        assert np.allclose(own, alone(pixels, training=False), rtol=1e-5, atol=1e-5), depth


def test_depths_are_spread_over_the_network() -> None:
    model = backbone("MobileNetV2", 96)
    counts = [depth.layers for depth in find_candidates(model, "avg")]
    assert 5 <= len(counts) <= 12 and counts[0] == max(counts)
    lower = model.get_layer(NETWORK).layers
    sides = {lower[count - 1].output.shape[1] for count in counts}
    assert sides == {48, 24, 12, 6, 3}


def test_a_network_may_end_before_its_last_layer() -> None:
    """`backbone.layer` drops the later layers; the earlier ones keep their weights."""
    whole = backbone("cnn", 32, pooling="max", seed=5)
    model = backbone("cnn", 32, pooling="max", seed=5, layer="residual_64_out")
    body = model.get_layer(NETWORK)
    names = [layer.name for layer in body.layers]
    assert tuple(names) == NETWORKS["cnn"].below("residual_64_out")
    pixels = np.random.default_rng(1).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    features = model(pixels, training=False)
    assert features.shape == (4, 64)
    same = truncated(whole, "residual_64_out", "max")
    assert np.array_equal(features, same(pixels, training=False))
    assert find_candidates(model, "max")[0].layer == "residual_64_out"
