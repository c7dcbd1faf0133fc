"""Recipes: parameters that differ from the defaults, with the data, the command and the result.

A recipe is YAML. Its first line, a comment, is its title; the other comments say what was
published, where the data come from and what to expect. `workflow/defaults.yaml` is
complete, and its comments are those of every params.yaml.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from graft.common.errors import UserError, nearest, refuse
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import NoYaml, read_yaml, read_yaml_file
from graft.project.parameters import PARAMETERS
from graft.project.pipeline import say_way_up
from graft.project.schema import check_parameters

RECIPES = Path("workflow/recipes")
_LONGEST_TITLE = 200  # characters
DEFAULTS = Path(__file__).parents[2] / "defaults.yaml"


def list_recipes() -> dict[str, str]:
    """The recipes of the project in this folder, by name: the title of each.

    Raises:
        UserError: there are none here.
    """
    found = {path.stem: _title(path) for path in sorted(RECIPES.glob("*.yaml"))}
    if not found:
        way = say_way_up()
        raise UserError(f"there is no {RECIPES} here: run graft in the project's folder{way}")
    return found


def compose_parameters(recipe: str, changes: Mapping[str, Any]) -> str:
    """A complete params.yaml with comments: the defaults, the recipe, then the changes.

    Args:
        recipe: its name.
        changes: values by dotted key.

    Raises:
        UserError: there is no such recipe, or the parameters are not valid as a whole.
    """
    known = list_recipes()
    if recipe not in known:
        raise refuse("a recipe", f"one of {', '.join(known)}{nearest(recipe, known)}", recipe)
    path = RECIPES / f"{recipe}.yaml"
    title = f"# {recipe}: {known[recipe]} ({path}).\n"
    own = flatten(_load_recipe(path))
    return title + change_parameters(DEFAULTS.read_text(encoding="utf-8"), own | changes)


def change_parameters(text: str, changes: Mapping[str, Any]) -> str:
    """A params.yaml with other values; its comments stay.

    Args:
        text: the present one.
        changes: values by dotted key.

    Raises:
        UserError: the text is no YAML, or the parameters are not valid as a whole.
    """
    yaml = YAML()
    yaml.width = 1000  # comments at the end of a line stay there
    values = load_commented(str(PARAMETERS), text)
    for key, value in changes.items():
        _set(values, key, value)
    changed = io.StringIO()
    yaml.dump(values, changed)
    check_parameters(str(PARAMETERS), read_yaml(changed.getvalue().encode()))
    return changed.getvalue()


def _title(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(_LONGEST_TITLE).strip().lstrip("# ")


def _load_recipe(path: Path) -> Any:
    """The values of a recipe; what ruamel.yaml would read for hours is refused before."""
    allowed = "YAML in UTF-8 with each key once: sections of parameters"
    try:
        plain = read_yaml_file(path)
    except (NoYaml, OSError) as error:
        raise refuse(str(path), allowed, str(error)) from None
    if not isinstance(plain, dict | None):
        raise refuse(str(path), allowed, type(plain).__name__)
    return load_commented(str(path), path.read_text(encoding="utf-8-sig")) or {}


def load_commented(where: str, text: str) -> Any:
    """The values of a YAML text, with its comments and its way of writing them.

    Args:
        where: what holds it, for errors.
        text: the YAML.

    Raises:
        UserError: it is no YAML.
    """
    try:
        return YAML().load(text)
    except (YAMLError, ValueError) as error:
        raise refuse(where, "YAML", " ".join(str(error).split())) from None


def _set(values: Any, key: str, value: Any) -> None:
    # A key that there is not is added, and then refused with all others at once.
    section, _, name = key.partition(".")
    if name and isinstance(values.get(section, {}), dict):
        values.setdefault(section, {})[name] = value
    else:
        values[section] = value
