"""How was it made: parameters, changed ones first, versions, hashes, and the commands to repeat."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

# The packages that results depend on, as they are called. The page depends on the version of each
# (dvc.yaml), so none is here that could change without making the page anew.
_PACKAGES = ("graft", "keras", "tensorflow", "openvino", "scikit-learn", "numpy", "pillow")


def summarise_provenance(
    parameters: Mapping[str, Any], defaults: Path, recipes: Path, files: Sequence[Path]
) -> dict[str, Any]:
    """What the section shows.

    Args:
        parameters: those of the build, by dotted key.
        defaults: the YAML with all of their usual values.
        recipes: the folder of recipes, each a YAML with what differs from the defaults.
        files: data and models, whose hashes are shown.

    Returns:
        recipe: the name of the nearest one, by `find_recipe`; changed: the parameters that differ
        from it, or from the defaults, each a row with key, value, recipe and default as text; same:
        the other ones with their values; versions and hashes by name; and commands.
    """
    usual = read_flat(defaults)
    known = {name: usual | own for name, own in _read_recipes(recipes).items()}
    recipe = find_recipe(parameters, known)
    base = known.get(recipe, usual)
    rows = [
        {
            "key": key,
            "value": write_value(value),
            "recipe": write_value(base.get(key)),
            "default": write_value(usual.get(key)),
            "own": not _equal(value, base.get(key)),
            "changed": not (_equal(value, base.get(key)) and _equal(value, usual.get(key))),
        }
        for key, value in sorted(parameters.items())
    ]
    return {
        "recipe": recipe,
        "changed": sorted((row for row in rows if row["changed"]), key=lambda row: not row["own"]),
        "own": sum(row["own"] for row in rows),
        "same": [row for row in rows if not row["changed"]],
        "versions": list_versions(),
        "hashes": {str(path): find_md5(path) for path in files},
        "commands": write_commands(recipe, [row for row in rows if row["own"]]),
    }


def find_recipe(parameters: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> str:
    """The recipe from which the fewest parameters differ; of equals the first; empty without any.

    Args:
        parameters: by dotted key.
        known: the complete parameters of each recipe.
    """

    def distance(name: str) -> int:
        return sum(not _equal(value, known[name].get(key)) for key, value in parameters.items())

    return min(sorted(known), key=distance, default="")


def write_commands(recipe: str, changed: Iterable[Mapping[str, Any]]) -> list[str]:
    """The commands that make the same again, in the project's folder.

    Args:
        recipe: the nearest one; without it the commands begin with the params.yaml that is there.
        changed: rows with key and value, of the parameters that differ from it.
    """
    settings = [shlex.quote(f"{row['key']}={row['value']}") for row in changed]
    use = " ".join(["uv run graft use", recipe, *(f"--set {setting}" for setting in settings)])
    return [*([use] if recipe else []), "uv run snakemake --cores all", "uv run graft verify"]


def list_versions() -> dict[str, str]:
    """The versions of the packages that results depend on, by name."""
    found = dict.fromkeys(_PACKAGES, "not installed")
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def find_md5(path: Path) -> str:
    """The MD5 of a file, as `dvc.lock` has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def read_flat(path: Path) -> dict[str, Any]:
    """The values of a YAML file by dotted key."""
    values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
    return {
        f"{section}.{key}": value for section, own in values.items() for key, value in own.items()
    }


def write_value(value: Any) -> str:
    """A parameter as text, as YAML reads it again."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read_recipes(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in folder.glob("*.yaml"):
        # A recipe that cannot be read explains nothing, and is no reason to have no page.
        with suppress(YAMLError, ValueError, AttributeError):
            found[path.stem] = read_flat(path)
    return found


def _equal(one: Any, other: Any) -> bool:
    # In YAML, 0 and 0.0 are the same share, but `true` is no number.
    return one == other and isinstance(one, bool) == isinstance(other, bool)
