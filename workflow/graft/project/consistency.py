"""What one parameter alone cannot say: values that do not go together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graft.audit.unfreezing import UNFREEZE, first_of_block
from graft.augmentation.random_layers import switched_on
from graft.common.errors import nearest, refuse
from graft.models.stacks import IMAGE_KINDS, TOKEN_POOLINGS, read_stack
from graft.network.catalogue import LAST, OWN, look_up
from graft.network.hub import HUB, PRESET

_LISTED = 20  # layers that a message lists
# What is wrong, if anything: the key, and what its value must be instead.
Problem = tuple[Any, str, str]


def check_consistency(where: str, flat: Mapping[str, Any]) -> None:
    """Checks what depends on several parameters.

    Args:
        where: what holds them, for errors.
        flat: valid values by dotted key.

    Raises:
        UserError: the first problem.
    """
    shares = [flat[f"split.{part}"] for part in ("train", "valid", "test")]
    if not math.isclose(sum(shares), 1, abs_tol=1e-9):
        received = f"{' + '.join(map(str, shares))} = {sum(shares):.6g}"
        together = f"{where}: split.train, split.valid and split.test"
        raise refuse(together, "shares that sum to 1", received)
    path = flat["dataset.path"]
    if path == "~" or path.startswith("~/"):
        allowed = "a path without ~, which `graft use RECIPE --images PATH` writes out"
        raise refuse(f"{where}: dataset.path", allowed, path)
    for problems in (_problems_of_training(flat), _problems_of_network(flat)):
        for wrong, key, allowed in problems:
            if wrong:
                raise refuse(f"{where}: {key}", allowed, flat[key])


def _problems_of_training(flat: Mapping[str, Any]) -> Iterator[Problem]:
    kind, output, classes = flat["head.kind"], flat["head.output"], flat["dataset.classes"]
    changes, copies = switched_on(flat), flat["augment.copies"]
    linear, sigmoid = kind != "dense", output == "sigmoid"
    yield linear and flat["head.stack"], "head.stack", f"[] for head.kind {kind}"
    yield linear and sigmoid, "head.output", f"softmax for head.kind {kind}"
    allowed = f"softmax for {len(classes)} classes; sigmoid is one unit for two"
    yield sigmoid and classes != "all" and len(classes) != 2, "head.output", allowed
    allowed = "0 where nothing else in augment changes an image"
    yield copies and not changes, "augment.copies", allowed
    allowed = f"at most head.repeats, {flat['head.repeats']}: each seed starts from its own head"
    yield flat["finetune.repeats"] > flat["head.repeats"], "finetune.repeats", allowed
    allowed = "auto or never where augment.copies is 0 and every epoch changes images anew"
    yield flat["finetune.cut"] == "always" and changes and not copies, "finetune.cut", allowed


def _problems_of_network(flat: Mapping[str, Any]) -> Iterator[Problem]:
    name, layer, unfreeze = flat["backbone.name"], flat["backbone.layer"], flat["finetune.unfreeze"]
    stack = read_stack(flat["backbone.stack"], IMAGE_KINDS)
    network = look_up(name, stack)
    rounded = flat["features.precision"] != "float32"
    allowed = f"float32 where features.runtime is {flat['features.runtime']}"
    yield rounded and flat["features.runtime"] != "openvino", "features.precision", allowed
    weights, of_hub = flat["backbone.weights"], name.startswith(HUB)
    allowed = f"none or a file for {name}, which has no ImageNet weights"
    yield weights == "imagenet" and name in OWN, "backbone.weights", allowed
    allowed = f"{PRESET}, none, or a model that graft made (.keras) for {name}"
    yield of_hub and (weights == "imagenet" or weights.endswith(".h5")), "backbone.weights", allowed
    allowed = f"none, imagenet or a file for {name}, which is no preset of KerasHub"
    yield weights == PRESET and not of_hub, "backbone.weights", allowed
    yield not network.takes(flat["image.side"]), "image.side", network.phrase_sides(name)
    allowed = f"avg, max or flatten for {name}, which has no class token"
    token = flat["backbone.pooling"] in TOKEN_POOLINGS
    yield token and not network.prefix, "backbone.pooling", allowed
    if not network.layers:  # they are known once it is built
        return
    # The input has no feature of its own, and its name is no layer's that people would pick.
    allowed = f"{LAST}, or a layer of {name}{_among(network.layers, layer)}"
    yield layer != LAST and layer not in network.layers[1:], "backbone.layer", allowed
    layers = network.below(layer)
    up_to = "" if layer == LAST else f" up to {layer}"
    allowed = f"none, all, auto, or at most {len(layers)} for {name}{up_to}"
    yield isinstance(unfreeze, int) and unfreeze > len(layers), "finetune.unfreeze", allowed
    if isinstance(unfreeze, str) and unfreeze not in UNFREEZE:
        allowed = f"none, all, auto, a number or fraction of layers, or a layer or block of {name}"
        allowed += _among(layers, unfreeze)
        yield first_of_block(layers, unfreeze) is None, "finetune.unfreeze", allowed


def _among(layers: Sequence[str], received: str) -> str:
    """The names that are allowed, the first and last of many, with the nearest."""
    names = layers[1:]
    shown = names if len(names) <= _LISTED else [*names[:3], "…", *names[-3:]]
    return f" ({', '.join(shown)}){nearest(received, names)}"
