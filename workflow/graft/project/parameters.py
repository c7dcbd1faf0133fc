"""The parameters in params.yaml, validated as a whole before anything runs.

The launcher and both engines read them with this module. No stage imports it: code that can only
refuse is no dependency of a result.
"""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graft.common.errors import UserError, refuse
from graft.head.unfreeze import UNFREEZE, first_of_block
from graft.models.stacks import IMAGE_KINDS, read_stack
from graft.project.catalogue import LAST, OWN, STACK, look_up
from graft.project.pretrained import check_weights_file
from graft.project.schema import Parameters
from graft.project.yaml12 import NoYaml, read_yaml_file
from graft.training.augmentation import switched_on

PARAMETERS = Path("params.yaml")


def read_parameters(path: Path = PARAMETERS) -> dict[str, Any]:
    """The parameters of a file, validated as a whole.

    Returns:
        Nested mappings as in the file, with every key of the schema and no other.

    Raises:
        UserError: the first thing that is wrong, with its key, what is allowed and what was there.
    """
    try:
        values = read_yaml_file(path)
    except FileNotFoundError:
        raise UserError(f"there is no {path} here: run graft in the project's folder") from None
    except (NoYaml, OSError) as error:
        raise refuse_text(str(path), error) from None
    return check_parameters(str(path), values)


def refuse_text(where: str, error: Exception) -> UserError:
    """The error for a file that is no YAML or cannot be read."""
    return UserError(f"{where} must be YAML in UTF-8 with each key once. Received: {error}")


def check_parameters(where: str, values: Any) -> dict[str, Any]:
    """Validates parameters as a whole.

    Args:
        where: what holds them, for errors.
        values: as they were read.

    Returns:
        The same values; nothing is converted.

    Raises:
        UserError: as `read_parameters`.
    """
    if not isinstance(values, dict):
        raise refuse(where, _sections(Parameters), values)
    try:
        checked = Parameters.model_validate(values)
    except ValidationError as error:
        raise _explain(where, values, error) from None
    _check_together(where, checked)
    return values


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by dotted key, such as `head.learning_rate`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def list_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters that differ, each with its `old` and `new` value; none where it is missing."""
    sides = {"old": old, "new": new}
    return {
        key: {side: values[key] for side, values in sides.items() if key in values}
        for key in sorted({*old, *new})
        if key not in old or key not in new or old[key] != new[key]
    }


def show_value(value: Any) -> str:
    """The value of a parameter on one line of at most 60 characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"


def check_files(values: Mapping[str, Any]) -> None:
    """Checks the files which the parameters name, before any stage runs.

    Raises:
        UserError: `dataset.path` or the file of `backbone.weights` is missing, or the latter does
            not hold the weights of the network.
    """
    backbone = values["backbone"]
    files = {"dataset.path": values["dataset"]["path"]}
    if backbone["weights"] not in ("none", "imagenet"):
        files["backbone.weights"] = backbone["weights"]
    for key, name in files.items():
        if not Path(name).exists():
            raise refuse(f"{PARAMETERS}: {key}", "a file or folder that exists", name)
    if "backbone.weights" in files:
        network = look_up(backbone["name"], read_stack(backbone["stack"], IMAGE_KINDS))
        layers = network.below(backbone["layer"])
        check_weights_file(Path(backbone["weights"]), backbone["name"], network, layers)


def _explain(path: str, values: Any, error: ValidationError) -> UserError:
    # An unknown key explains a missing one (a typing error makes both), so it comes first.
    unknown = {"extra_forbidden", "invalid_key"}
    first = min(error.errors(), key=lambda e: e["type"] not in unknown)
    section: Any = Parameters
    field, names = None, []
    for name in map(str, first["loc"]):
        names.append(name)
        values = values.get(name)
        field = section.model_fields.get(name)
        if not _is_section(field):  # a leaf, whatever lies in it, or an unknown key
            break
        section = field.annotation
    where = f"{path}: {'.'.join(names)}"
    if first["type"] in unknown:
        allowed = list(section.model_fields)
        close = difflib.get_close_matches(names[-1], allowed, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return refuse(f"{where} is unknown; it", f"one of {', '.join(allowed)}{hint}", names[-1])
    if first["type"] == "missing":
        return UserError(f"{where} must be given: {_allowed(field)}. Received: nothing")
    return refuse(where, _allowed(field), values)


def _is_section(field: Any) -> bool:
    return hasattr(getattr(field, "annotation", None), "model_fields")


def _allowed(field: Any) -> str:
    return _sections(field.annotation) if _is_section(field) else field.description


def _sections(model: Any) -> str:
    what = "sections" if model is Parameters else "a section with the keys"
    return f"{what} {', '.join(model.model_fields)}"


def _check_together(path: str, parameters: Parameters) -> None:
    """Checks what depends on several fields."""
    split, dataset, head = parameters.split, parameters.dataset, parameters.head
    total = split.train + split.valid + split.test
    if not math.isclose(total, 1, abs_tol=1e-9):
        received = f"{split.train} + {split.valid} + {split.test} = {total:.6g}"
        raise refuse(
            f"{path}: split.train, split.valid and split.test", "shares that sum to 1", received
        )
    if head.kind != "dense" and head.stack:
        raise refuse(f"{path}: head.stack", f"[] for head.kind {head.kind}", head.stack)
    if head.output == "sigmoid":
        if head.kind != "dense":
            raise refuse(f"{path}: head.output", f"softmax for head.kind {head.kind}", head.output)
        if dataset.classes != "all" and len(dataset.classes) != 2:
            allowed = f"softmax for {len(dataset.classes)} classes; sigmoid is one unit for two"
            raise refuse(f"{path}: head.output", allowed, head.output)
    _check_network(path, parameters)
    augment, cut = parameters.augment, parameters.finetune.cut
    changes = switched_on(flatten({"augment": augment.model_dump()}))
    if augment.copies and not changes:
        allowed = "0 where nothing else in augment changes an image"
        raise refuse(f"{path}: augment.copies", allowed, augment.copies)
    if cut == "always" and changes and not augment.copies:
        allowed = "auto or never where augment.copies is 0 and every epoch changes images anew"
        raise refuse(f"{path}: finetune.cut", allowed, cut)


def _check_network(path: str, parameters: Parameters) -> None:
    backbone, unfreeze = parameters.backbone, parameters.finetune.unfreeze
    name = backbone.name
    if name == STACK and not backbone.stack:
        allowed = f"one layer or more for backbone.name {name}"
        raise refuse(f"{path}: backbone.stack", allowed, backbone.stack)
    network = look_up(name, read_stack(backbone.stack, IMAGE_KINDS))
    if backbone.weights == "imagenet" and name in OWN:
        allowed = f"none or a file for {name}, which has no ImageNet weights"
        raise refuse(f"{path}: backbone.weights", allowed, backbone.weights)
    low, high = network.sides
    if not low <= parameters.image.side <= high:
        allowed = f"from {low} to {high} pixels for {name}"
        raise refuse(f"{path}: image.side", allowed, parameters.image.side)
    # The input has no feature of its own, and its name is no layer's that people would pick.
    if backbone.layer != LAST and backbone.layer not in network.layers[1:]:
        allowed = f"{LAST}, or a layer of {name}"
        raise _unknown_layer(f"{path}: backbone.layer", allowed, network.layers, backbone.layer)
    layers = network.below(backbone.layer)
    if isinstance(unfreeze, int) and unfreeze > len(layers):
        allowed = f"none, all, auto, or at most {len(layers)} for {name}"
        if backbone.layer != LAST:
            allowed += f" up to {backbone.layer}"
        raise refuse(f"{path}: finetune.unfreeze", allowed, unfreeze)
    if (
        isinstance(unfreeze, str)
        and unfreeze not in UNFREEZE
        and first_of_block(layers, unfreeze) is None
    ):
        allowed = f"none, all, auto, a number or fraction of layers, or a layer or block of {name}"
        raise _unknown_layer(f"{path}: finetune.unfreeze", allowed, layers, unfreeze)


def _unknown_layer(where: str, allowed: str, layers: Sequence[str], received: str) -> UserError:
    close = difflib.get_close_matches(received, layers[1:], n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return refuse(where, f"{allowed} ({', '.join(layers[1:])}{hint})", received)
