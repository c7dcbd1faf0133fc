"""The parameters in params.yaml, validated as a whole before anything runs.

The launcher and both engines read them with this module. No stage imports it: code that can only
refuse is no dependency of a result.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from graft.common.errors import UserError, nearest, refuse
from graft.images.suggestions import suggest_near
from graft.integrity.ground import flatten
from graft.models.stacks import IMAGE_KINDS, read_stack
from graft.network.catalogue import look_up
from graft.network.pretrained import check_weights_file
from graft.project.consistency import check_consistency
from graft.project.pipeline import Declaration, say_way_up
from graft.project.schema import Parameters
from graft.project.yaml12 import NoYaml, read_yaml_file

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
        where = f"run graft in the project's folder{say_way_up()}"
        raise UserError(f"there is no {path} here: {where}") from None
    except (NoYaml, OSError) as error:
        allowed = "YAML in UTF-8 with each key once"
        raise UserError(f"{path} must be {allowed}. Received: {error}") from None
    return check_parameters(str(path), values)


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
    check_consistency(where, flatten(checked.model_dump()))
    return values


def select_parameters(declaration: Declaration, flat: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a stage declares, by dotted key.

    Args:
        declaration: names keys and whole sections.
        flat: all parameters by dotted key.
    """
    return {
        key: value
        for key, value in flat.items()
        if any(
            not name or key == name or key.startswith(f"{name}.") for name in declaration.parameters
        )
    }


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
    _check_exists("dataset.path", values["dataset"]["path"])
    check_weights(values)


def check_weights(values: Mapping[str, Any]) -> None:
    """Checks the file of `backbone.weights`, without TensorFlow.

    Raises:
        UserError: it is missing, or does not hold the weights of the network.
    """
    backbone = values["backbone"]
    if backbone["weights"] in ("none", "imagenet"):
        return
    _check_exists("backbone.weights", backbone["weights"])
    network = look_up(backbone["name"], read_stack(backbone["stack"], IMAGE_KINDS))
    layers = network.below(backbone["layer"])
    check_weights_file(Path(backbone["weights"]), backbone["name"], network, layers)


def _check_exists(key: str, name: str) -> None:
    if not Path(name).exists():
        allowed = f"a file or folder that exists{suggest_near(Path(name))}"
        raise refuse(f"{PARAMETERS}: {key}", allowed, name)


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
        if not _is_section(field):  # a value, whatever it holds, or an unknown key
            break
        section = field.annotation
    where = f"{path}: {'.'.join(names)}"
    if first["type"] in unknown:
        allowed = list(section.model_fields)
        one_of = f"one of {', '.join(allowed)}{_find_key(names[-1], section)}"
        return refuse(f"{where} is unknown; it", one_of, names[-1])
    if first["type"] == "missing":
        return UserError(f"{where} must be given: {_allowed(field)}. Received: nothing")
    hint = (
        "" if _is_section(field) else nearest(values, filter(_is_text, get_args(field.annotation)))
    )
    return refuse(where, _allowed(field) + hint, values)


def _find_key(name: str, section: Any) -> str:
    """A hint for an unknown name: a near one beside it, or the sections that have such a key."""
    if section is Parameters:
        having = [
            f"{known}.{name}"
            for known, field in section.model_fields.items()
            if name in field.annotation.model_fields
        ]
        if having:
            return f" (did you mean {' or '.join(having)}?)"
    return nearest(name, section.model_fields)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_section(field: Any) -> bool:
    return hasattr(getattr(field, "annotation", None), "model_fields")


def _allowed(field: Any) -> str:
    return _sections(field.annotation) if _is_section(field) else field.description


def _sections(model: Any) -> str:
    what = "sections" if model is Parameters else "a section with the keys"
    return f"{what} {', '.join(model.model_fields)}"
