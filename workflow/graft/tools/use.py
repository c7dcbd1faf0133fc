"""Write params.yaml from a recipe and choose the number of shards, or list the recipes."""

from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError, refuse
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import NoYaml, read_yaml
from graft.project import choices
from graft.project.parameters import PARAMETERS, list_changes, read_parameters, show_value
from graft.project.pipeline import count_shards
from graft.project.recipes import (
    RECIPES,
    change_parameters,
    compose_parameters,
    list_recipes,
    load_commented,
)
from graft.tools.git import ask_git
from graft.tools.options import parse_options


def main(arguments: list[str]) -> None:
    """`graft use [RECIPE]`: writes a complete params.yaml with comments; without RECIPE, lists all.

    With a recipe the images are divided into as many shards as suit their number. With `--set`
    alone only these values are changed, with `--shards` alone only the number of shards.

    Raises:
        UserError: there is no such recipe, a value is not allowed, or params.yaml has a content
            that git does not have.
    """
    options = parse_options("use", __doc__, arguments, networks=", ".join(choices.CHOICES))
    number = choices.read_shards(options.shards or choices.BY_NUMBER)
    if options.recipe is None and (options.set or options.shards):
        if options.set:
            _change(dict(map(_parse, options.set)))
        if options.shards:
            _divide(number or choices.suit_number(read_parameters()["dataset"]["path"]))
        return
    if options.recipe is None:
        recipes = list_recipes()
        width = max(map(len, recipes))
        print("\n".join(f"{name:<{width}}  {title}" for name, title in recipes.items()))
        return
    changes = choices.choose_network(options.network) if options.network else {}
    if options.images is not None:
        changes["dataset.path"] = choices.place_images(options.images)
    changes |= dict(map(_parse, options.set))
    text = compose_parameters(options.recipe, changes)
    there = PARAMETERS.exists()
    present = PARAMETERS.read_text(encoding="utf-8", errors="replace") if there else ""
    before, after = _read(present), _read(text)
    if there and not (options.force or _in_git()):
        changes = _lines(_read(ask_git("show", f"HEAD:./{PARAMETERS}")), before)
        raise UserError(
            f"{PARAMETERS} must be in git before it is overwritten: `git add {PARAMETERS}`, or give"
            f" --force. Received: {'; '.join(changes) or 'a text that git does not have'}"
        )
    dataset = after["dataset.path"]
    if number is None:
        kept = _present_number() if dataset == before.get("dataset.path") else None
        number = choices.suit_number(dataset, kept)
    write_text(PARAMETERS, text)
    print(f"{PARAMETERS} is now the recipe {options.recipe}")
    for line in _lines(before, after) if before else ():
        print(f"  {line}")
    _divide(number)
    weights = after["backbone.weights"]
    if weights not in ("none", "imagenet") and not Path(weights).exists():
        print(f"The weights are not at {weights} yet.")
    if not Path(dataset).exists():
        where = RECIPES / f"{options.recipe}.yaml"
        print(f"The images are not at {dataset} yet: {where} says where they come from.")
    elif Path(dataset).is_absolute():
        print(
            "The images are outside the project: DVC notices every change of them, but keeps no"
            " copy. To version them with the results, copy them to data/raw."
        )


def _change(changes: dict[str, Any]) -> None:
    """Changes some values of params.yaml, and says which."""
    read_parameters()  # which says what is wrong with it
    before = PARAMETERS.read_text(encoding="utf-8")
    text = change_parameters(before, changes)
    write_text(PARAMETERS, text)
    print("\n".join(_lines(_read(before), _read(text))) or f"{PARAMETERS} is as before")


def _divide(number: int) -> None:
    """Writes the number of shards, and says so where it is another one."""
    before = _present_number()
    if before != number:
        choices.divide(number)
        print(f"  shards: {f'{before} → ' if before else ''}{number}")


def _present_number() -> int | None:
    """The number of shards; None where the file that says it is missing or broken."""
    try:
        return count_shards()
    except UserError:
        return None


def _parse(text: str) -> tuple[str, Any]:
    key, equals, value = map(str.strip, text.partition("="))
    if not equals or not value:
        raise refuse("--set", "KEY=VALUE, such as head.epochs=20", text)
    return key, load_commented(f"--set {key}", value)


def _read(text: str) -> dict[str, Any]:
    """The parameters in a text by dotted key; none where it holds no mapping."""
    try:
        values = read_yaml(text.encode())
    except NoYaml:
        return {}
    return flatten(values) if isinstance(values, dict) else {}


def _lines(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{key}: {show_value(change.get('old', '–'))} → {show_value(change.get('new', '–'))}"
        for key, change in list_changes(old, new).items()
    ]


def _in_git() -> bool:
    """Whether git has the present content of params.yaml."""
    hashed = ask_git("hash-object", "--path", str(PARAMETERS), str(PARAMETERS))
    return bool(hashed) and ask_git("cat-file", "-t", hashed) == "blob"
