"""What params.yaml says, validated as a whole before anything runs.

Every stage and both engines read the parameters with this module.
"""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from graft.errors import UserError, refuse
from graft.networks import NETWORKS
from graft.schema import Parameters, is_file

FILE = Path("params.yaml")


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
    """Checks that the files which the parameters name are there, before any stage runs.

    Raises:
        UserError: `dataset.path` or the file of `backbone.weights` is missing.
    """
    files = {"dataset.path": values["dataset"]["path"]}
    if is_file(values["backbone"]["weights"]):
        files["backbone.weights"] = values["backbone"]["weights"]
    for key, name in files.items():
        if not Path(name).exists():
            raise refuse(f"{FILE}: {key}", "a file or folder that exists", name)


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
    split, backbone = parameters.split, parameters.backbone
    total = split.train + split.valid + split.test
    if not math.isclose(total, 1, abs_tol=1e-9):
        received = f"{split.train} + {split.valid} + {split.test} = {total:.6g}"
        raise refuse(
            f"{path}: split.train, split.valid and split.test", "shares that sum to 1", received
        )
    network = NETWORKS[backbone.name]
    if backbone.weights == "imagenet" and not network.imagenet:
        allowed = f"none or a file for {backbone.name}, which has no ImageNet weights"
        raise refuse(f"{path}: backbone.weights", allowed, backbone.weights)
    low, high = network.sides
    if not low <= parameters.image.side <= high:
        allowed = f"from {low} to {high} pixels for {backbone.name}"
        raise refuse(f"{path}: image.side", allowed, parameters.image.side)
    unfreeze = parameters.finetune.unfreeze
    if isinstance(unfreeze, int) and unfreeze > network.layers:
        allowed = f"none, all, or at most {network.layers} for {backbone.name}"
        raise refuse(f"{path}: finetune.unfreeze", allowed, unfreeze)
