"""Write params.yaml from a recipe and choose the number of shards, or list the recipes."""

import hashlib
from itertools import islice
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import NoYaml, read_yaml
from graft.network.hub import PRESET
from graft.project import choices
from graft.project.parameters import PARAMETERS, list_changes, read_parameters, show_value
from graft.project.pipeline import count_shards
from graft.project.recipes import (
    RECIPES,
    change_parameters,
    compose_parameters,
    list_recipes,
)
from graft.revisions.git import ask_git
from graft.tools.options import parse_options, read_changes

_CACHE = Path(".dvc/cache/files")
_LARGE = 10e9  # bytes from which its size is said
_MOST_FILES = 50_000  # that are weighed, in about half a second
# The hash of the params.yaml that this command has written, if nothing of it was a person's own.
_WRITTEN = Path(".graft/params.sha256")


def main(arguments: list[str]) -> None:
    """`graft use [RECIPE]`: writes a complete params.yaml with comments; without RECIPE, lists all.

    With a recipe the images are divided into as many shards as suit their number. With `--set`
    alone only these values are changed, with `--shards` alone only the number of shards.

    Raises:
        UserError: there is no such recipe, a value is not allowed, or params.yaml has a content
            that neither git has nor this command has written.
    """
    options = parse_options("use", __doc__, arguments, networks=", ".join(choices.CHOICES))
    number = choices.read_shards(options.shards or choices.BY_NUMBER)
    if options.recipe is None and (options.set or options.shards):
        if options.set:
            _change(read_changes(options.set))
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
    changes |= read_changes(options.set)
    text = compose_parameters(options.recipe, changes)
    there = PARAMETERS.exists()
    present = PARAMETERS.read_text(encoding="utf-8", errors="replace") if there else ""
    before, after = _read(present), _read(text)
    if there and not (options.force or _can_be_had_again()):
        changes = _lines(_read(ask_git("show", f"HEAD:./{PARAMETERS}")), before)
        first = "" if ask_git("rev-parse", "--git-dir") else "git init && "
        raise UserError(
            f"{PARAMETERS} must be in git before it is overwritten:"
            f" `{first}git add {PARAMETERS}`, or give --force. Received:"
            f" {'; '.join(changes) or 'a text that git does not have'}"
        )
    dataset = after["dataset.path"]
    if number is None:
        kept = _present_number() if dataset == before.get("dataset.path") else None
        number = choices.suit_number(dataset, kept)
    _write(text)
    print(f"{PARAMETERS} is now the recipe {options.recipe}")
    for line in _lines(before, after) if before else ():
        print(f"  {line}")
    _divide(number)
    weights = after["backbone.weights"]
    if weights not in ("none", "imagenet", PRESET) and not Path(weights).exists():
        print(f"The weights are not at {weights} yet.")
    if not Path(dataset).exists():
        where = RECIPES / f"{options.recipe}.yaml"
        print(f"The images are not at {dataset} yet: {where} says where they come from.")
    else:
        if options.network and (
            said := choices.say_time_of_features(after["backbone.name"], dataset)
        ):
            print(said)
        if Path(dataset).is_absolute():
            print(
                "The images are outside the project: DVC notices every change of them, but keeps no"
                " copy. To version them with the results, copy them to data/raw."
            )
    _suggest_cleaning()


def _suggest_cleaning() -> None:
    """Says how to make the cache of DVC smaller, where it is large."""
    paths = (path for path in _CACHE.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in islice(paths, _MOST_FILES))
    if size > _LARGE:
        print(
            f"DVC's cache has {size / 1e9:,.0f} GB: `uv run dvc gc --all-commits --all-experiments`"
            " keeps what a commit or an experiment names"
        )


def _change(changes: dict[str, Any]) -> None:
    """Changes some values of params.yaml, and says which."""
    read_parameters()  # which says what is wrong with it
    kept = _can_be_had_again()
    before = PARAMETERS.read_text(encoding="utf-8")
    text = change_parameters(before, changes)
    if kept:
        _write(text)
    else:  # what a person has edited is in it
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


def _write(text: str) -> None:
    """Writes a params.yaml of which nothing is lost if it is overwritten."""
    write_text(PARAMETERS, text)
    write_text(_WRITTEN, _hash(text))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _can_be_had_again() -> bool:
    """Whether git has the present content of params.yaml, or this command has written it."""
    if _WRITTEN.exists() and PARAMETERS.exists():
        own = _WRITTEN.read_text(encoding="utf-8")
        if own == _hash(PARAMETERS.read_text(encoding="utf-8", errors="replace")):
            return True
    hashed = ask_git("hash-object", "--path", str(PARAMETERS), str(PARAMETERS))
    return bool(hashed) and ask_git("cat-file", "-t", hashed) == "blob"
