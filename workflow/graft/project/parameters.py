"""The parameters in params.yaml, validated as a whole before anything runs.

The launcher and both engines read them with this module. No stage imports it: code that can only
refuse is no dependency of a result.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError, refuse
from graft.integrity.ground import digest
from graft.integrity.yaml12 import NoYaml, read_yaml_file
from graft.project.pipeline import Declaration, say_way_up

PARAMETERS = Path("params.yaml")
# The signature of the parameters that were last found valid: the stages of a run need not ask
# again, which takes each of them longer than to read the file.
_VALID = Path(".graft/valid")
_ROOMS = Path(__file__).parent.parent
# A text that needs no quotes in YAML, such as a layer of a stack.
_PLAIN = re.compile(r"[A-Za-z][\w ./-]*")


def read_parameters(path: Path = PARAMETERS) -> dict[str, Any]:
    """The parameters of a file, validated as a whole.

    Returns:
        Nested mappings as in the file, with every key of the schema and no other.

    Raises:
        UserError: the first thing that is wrong, with its key, what is allowed and what was there.
    """
    values = read_values(path)
    key = _sign_validation(values) if path == PARAMETERS else ""
    if not key or _read_text(_VALID) != key:
        from graft.project.schema import check_parameters  # it imports pydantic

        check_parameters(str(path), values)
        if key:
            _note_valid(key)
    return values


def read_values(path: Path = PARAMETERS) -> Any:
    """The values of a file of parameters, whatever they are.

    Raises:
        UserError: there is none, or it is no YAML.
    """
    try:
        return read_yaml_file(path)
    except FileNotFoundError:
        where = f"run graft in the project's folder{say_way_up()}"
        raise UserError(f"there is no {path} here: {where}") from None
    except (NoYaml, OSError) as error:
        allowed = "YAML in UTF-8 with each key once"
        raise UserError(f"{path} must be {allowed}. Received: {error}") from None


def _sign_validation(values: Any) -> str:
    """A digest of the values and of all code, by which they are found valid; empty without."""
    code = {path.name: digest(path) for path in _ROOMS.iterdir() if path.is_dir()}
    try:
        about = json.dumps([values, code], sort_keys=True)
    except (TypeError, ValueError):  # what is no plain value, or holds itself, is not valid
        return ""
    return hashlib.sha256(about.encode()).hexdigest()


def _note_valid(key: str) -> None:
    # Where it cannot be kept, each stage checks again, as it does where the folder is new.
    with contextlib.suppress(OSError):
        write_text(_VALID, key)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


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
    """The value of a parameter on one line of at most 60 characters; lists of words as in YAML."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and value and all(map(_PLAIN.fullmatch, map(str, value))):
        text = f"[{', '.join(map(str, value))}]"
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"


def check_files(values: Mapping[str, Any]) -> None:
    """Checks the files which the parameters name, before any stage runs.

    Raises:
        UserError: what `dataset.path` or `dataset.corrections` names, or the file of
            `backbone.weights`, is missing, or the latter does not hold the weights of the network.
    """
    for key in ("path", "corrections"):
        _check_exists(f"dataset.{key}", values["dataset"][key])
    check_weights(values)


def check_weights(values: Mapping[str, Any]) -> None:
    """Checks the file of `backbone.weights` or that of a preset, without TensorFlow.

    Raises:
        UserError: it is missing, or does not hold the weights of the network.
    """
    from graft.models.stacks import IMAGE_KINDS, read_stack
    from graft.network.catalogue import look_up
    from graft.network.hub import PRESET, check_preset_weights, find_folder
    from graft.network.pretrained import check_weights_file

    backbone = values["backbone"]
    if backbone["weights"] in ("none", "imagenet"):
        return
    if backbone["weights"] == PRESET:
        if folder := find_folder(backbone["name"]):
            check_preset_weights(folder)
        return
    _check_exists("backbone.weights", backbone["weights"])
    network = look_up(backbone["name"], read_stack(backbone["stack"], IMAGE_KINDS))
    layers = network.below(backbone["layer"])
    check_weights_file(Path(backbone["weights"]), backbone["name"], network, layers)


def _check_exists(key: str, name: str) -> None:
    if not Path(name).exists():
        from graft.images.suggestions import suggest_near

        allowed = f"a file or folder that exists{suggest_near(Path(name))}"
        raise refuse(f"{PARAMETERS}: {key}", allowed, name)
