"""What params.yaml says, validated as a whole before anything runs.

Every stage and both engines read the parameters with this module.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from graft import networks, pretrained, stacks
from graft.errors import UserError, refuse
from graft.schema import Parameters, is_file

FILE = Path("params.yaml")
# What `finetune.unfreeze` may be besides numbers and names.
UNFREEZE = NONE, ALL, AUTO = "none", "all", "auto"


def read(path: Path = FILE) -> dict[str, Any]:
    """The parameters of `path`, validated as a whole.

    Returns:
        Nested mappings as in the file, with every key of the schema and no other.

    Raises:
        UserError: the first thing that is wrong, with its key, what is allowed and what was there.
    """
    try:
        # YAML 1.2 and the very parser that DVC uses: both must see 1e-3 as the same number.
        values = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no {path} here: run graft in the project's folder") from None
    except (YAMLError, ValueError, RecursionError, OSError) as error:
        allowed = "YAML in UTF-8 with each key once"
        raise UserError(f"{path} must be {allowed}. Received: {_fault(error)}") from None
    if not isinstance(values, dict):
        raise refuse(str(path), _sections(Parameters), values)
    try:
        checked = Parameters.model_validate(values)
    except ValidationError as error:
        raise _explain(path, values, error) from None
    _check_together(path, checked)
    return checked.model_dump()


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by dotted key, such as `head.learning_rate`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def check_files(values: Mapping[str, Any]) -> None:
    """Checks the files which the parameters name, before any stage runs.

    Raises:
        UserError: `dataset.path` or the file of `backbone.weights` is missing, or the latter does
            not hold the weights of the network.
    """
    backbone = values["backbone"]
    files = {"dataset.path": values["dataset"]["path"]}
    if is_file(backbone["weights"]):
        files["backbone.weights"] = backbone["weights"]
    for key, name in files.items():
        if not Path(name).exists():
            raise refuse(f"{FILE}: {key}", "a file or folder that exists", name)
    if is_file(backbone["weights"]):
        network = networks.network(backbone["name"], stacks.read(backbone["stack"], stacks.IMAGES))
        layers = network.below(backbone["layer"])
        pretrained.check(Path(backbone["weights"]), backbone["name"], network, layers)


def _fault(error: Exception) -> str:
    """What is wrong with the text of a file, on one line."""
    # The parser's own text goes over several lines, with advice for programmers.
    text = " ".join((getattr(error, "problem", None) or str(error)).split())
    mark = getattr(error, "problem_mark", None)
    return f"{text} in line {mark.line + 1}, column {mark.column + 1}" if mark else text


def _explain(path: Path, values: Any, error: ValidationError) -> UserError:
    # An unknown key explains a missing one (a typing error makes both), so it is told first.
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


def _check_together(path: Path, parameters: Parameters) -> None:
    """What one field alone cannot tell."""
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
    if parameters.augment.copies and not parameters.augment.changes():
        allowed = "0 where nothing else in augment changes an image"
        raise refuse(f"{path}: augment.copies", allowed, parameters.augment.copies)
    augment, cut = parameters.augment, parameters.finetune.cut
    if cut == "always" and augment.changes() and not augment.copies:
        allowed = "auto or never where augment.copies is 0 and every epoch changes images anew"
        raise refuse(f"{path}: finetune.cut", allowed, cut)


def _check_network(path: Path, parameters: Parameters) -> None:
    backbone, unfreeze = parameters.backbone, parameters.finetune.unfreeze
    name = backbone.name
    if name == networks.STACK and not backbone.stack:
        allowed = f"one layer or more for backbone.name {name}"
        raise refuse(f"{path}: backbone.stack", allowed, backbone.stack)
    network = networks.network(name, stacks.read(backbone.stack, stacks.IMAGES))
    if backbone.weights == "imagenet" and name in networks.OWN:
        allowed = f"none or a file for {name}, which has no ImageNet weights"
        raise refuse(f"{path}: backbone.weights", allowed, backbone.weights)
    low, high = network.sides
    if not low <= parameters.image.side <= high:
        allowed = f"from {low} to {high} pixels for {name}"
        raise refuse(f"{path}: image.side", allowed, parameters.image.side)
    # The input has no feature of its own, and its name is no layer's that people would pick.
    if backbone.layer != networks.LAST and backbone.layer not in network.layers[1:]:
        allowed = f"{networks.LAST}, or a layer of {name}"
        raise _unknown_layer(f"{path}: backbone.layer", allowed, network.layers, backbone.layer)
    layers = network.below(backbone.layer)
    if isinstance(unfreeze, int) and unfreeze > len(layers):
        allowed = f"none, all, auto, or at most {len(layers)} for {name}"
        if backbone.layer != networks.LAST:
            allowed += f" up to {backbone.layer}"
        raise refuse(f"{path}: finetune.unfreeze", allowed, unfreeze)
    if (
        isinstance(unfreeze, str)
        and unfreeze not in UNFREEZE
        and networks.matching(layers, unfreeze) is None
    ):
        allowed = f"none, all, auto, a number or fraction of layers, or a layer or block of {name}"
        raise _unknown_layer(f"{path}: finetune.unfreeze", allowed, layers, unfreeze)


def _unknown_layer(where: str, allowed: str, layers: Sequence[str], received: str) -> UserError:
    close = difflib.get_close_matches(received, layers[1:], n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return refuse(where, f"{allowed} ({', '.join(layers[1:])}{hint})", received)
