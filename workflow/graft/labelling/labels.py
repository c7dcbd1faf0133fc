"""The label of each file: by a table, by its folders, or by an expression for its path."""

import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from graft.common.cautions import Caution, set_command
from graft.common.classes import catch, normal
from graft.common.errors import WHERE_SOURCE, UserError, refuse
from graft.labelling.layout import INNERMOST, Layout, Undecided, read_layout, split_path
from graft.labelling.names import suggest_expression

AUTOMATIC = "auto"  # the value of `dataset.label` that finds out
WHERE_LABEL = "params.yaml: dataset.label"
_NAMED = 3  # names that a sentence has
_Writing = tuple[str, list[str]]  # the name of a class, and the paths of its files


@dataclass(frozen=True, slots=True)
class Label:
    """What is said of one file.

    Attributes:
        label: the name of its class.
        part: train, valid or test where the data set comes divided, else empty.
        group: what it has in common with others, where a CSV says so, else empty.
        more: the other columns of the CSV, by their names with `csv_` before.
    """

    label: str
    part: str = ""
    group: str = ""
    more: dict[str, str] = field(default_factory=dict)


class Labelled(NamedTuple):
    """What is said of the files of a data set.

    Attributes:
        labels: of each file that has one, by its path.
        cautions: what a person should know of it.
        tops: the paths of the folders in which class folders lie, where these say it.
    """

    labels: dict[str, Label]
    cautions: list[Caution]
    tops: Collection[str] = ()


def set_label(value: str | int) -> str:
    """The command that sets `dataset.label`."""
    return set_command("dataset.label", value)


class Asked(NamedTuple):
    """How a user says where images are and which labels they have: what messages call it.

    Attributes:
        source: what names the images.
        label: what names the rule for labels.
        set_to: what to type for another rule.
    """

    source: str
    label: str
    set_to: Callable[[str | int], str]


BY_PARAMETERS = Asked(WHERE_SOURCE, WHERE_LABEL, set_label)


def by_folders(
    paths: Collection[str],
    pictures: Collection[str],
    rule: str | int,
    asked: Asked = BY_PARAMETERS,
) -> Labelled:
    """The label of each file by its folders; files that belong to none are left out.

    Args:
        paths: of all files, with `/` between the parts.
        pictures: those of them that are pictures.
        rule: `auto`, `folder` or a level, as `dataset.label` says.
        asked: what messages call it.

    Raises:
        UserError: folders may be read in two ways.
    """
    level = {AUTOMATIC: None, INNERMOST: 0}.get(rule, rule)
    # Files of a folder share all that is said of them.
    folders = {path: _parent(path) for path in paths}
    try:
        layout = read_layout({folders[path] for path in pictures}, {*folders.values()}, level)
    except Undecided as either:
        raise _refuse_undecided(either, pictures, asked) from None
    labels = {parent: Label(*said) for parent, said in layout.classes.items()}
    found = {path: labels[parent] for path, parent in folders.items() if parent in labels}
    return Labelled(found, _say_layout(layout, asked), layout.tops)


def by_expression(
    paths: Collection[str], pictures: Collection[str], rule: str, asked: Asked = BY_PARAMETERS
) -> Labelled:
    """The label of each file by an expression for its path; the parts by its folders.

    Args:
        paths: of all files, with `/` between the parts.
        pictures: those of them that are pictures.
        rule: a regular expression. What its brackets catch, or all of the match, is the label.
        asked: what messages call it.

    Raises:
        UserError: the expression matches no path.
    """
    pattern = re.compile(rule)
    found = {path: label for path in paths if (label := catch(pattern, path))}
    if not found:
        example = next(iter(sorted(pictures)), "")
        allowed = (
            f"{AUTOMATIC}, {INNERMOST}, a level of folders from 1, a column of a CSV, or a regular"
            f" expression that matches paths such as {example!r}"
        )
        raise refuse(asked.label, allowed, rule)
    tops = read_layout({_parent(path) for path in pictures}, (), 1).tops
    places = {split_path(top): part for top, part in tops.items()}
    return Labelled({path: Label(found[path], _part(path, places)) for path in found}, [])


def _part(path: str, places: Mapping[tuple[str, ...], str]) -> str:
    names = split_path(path)
    return next((places[names[:n]] for n in range(len(names)) if names[:n] in places), "")


def unify(labels: Mapping[str, Label], folder: str | None) -> Labelled:
    """The same labels, those that mean one class written alike.

    Names that differ in the form of Unicode or in blanks alone are one class.

    Args:
        labels: of each file, by its path.
        folder: the data set, if its folders are the classes and can have another name.

    Raises:
        UserError: two classes differ in capital letters alone.
    """
    written: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, said in labels.items():
        written[normal(said.label)][said.label].append(path)
    if differing := _differ_in_case(written):
        raise _refuse_case(differing, folder)
    cautions = [
        Caution(f"The class {name!r} is written in {len(ways)} ways ({_name(ways)}): they are one")
        for name, ways in written.items()
        if len(ways) > 1
    ]
    again = {label: name for name, ways in written.items() for label in ways}
    one = {
        path: said if again[said.label] == said.label else replace(said, label=again[said.label])
        for path, said in labels.items()
    }
    return Labelled(one, cautions)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _say_layout(layout: Layout, asked: Asked) -> list[Caution]:
    cautions = [
        Caution(
            f"The part {part} has the folders {_name(names)}, none of which the training part has:"
            " its pictures are not used"
        )
        for part, names in layout.strange.items()
    ]
    if layout.nested:
        outer = PurePosixPath(layout.nested[0]).parent.name
        text = f"Classes have folders of their own, such as {layout.nested[0]!r}, whose pictures"
        text += f" count as {outer!r}. If these are the classes, take them; 1 keeps it so"
        cautions.append(Caution(text, asked.set_to(2)))
    return cautions


def _refuse_undecided(either: Undecided, pictures: Iterable[str], asked: Asked) -> UserError:
    where = f" in {either.place}" if either.place else ""
    shared = _name(either.shared)
    if len(either.tops) > 1:
        allowed = (
            f"given, since several of the folders{where} have the same folders: 1 if"
            f" {_name(either.tops)} are the classes, 2 if {shared} are (`{asked.set_to(2)}`)"
        )
    elif either.shared:
        allowed = (
            f"given, since the folder {either.tops[0]!r}{where} has {shared} as has the folder that"
            f" it lies in: {INNERMOST} takes them together (`{asked.set_to(INNERMOST)}`)"
        )
    else:
        allowed = (
            f"given, since {either.tops[0]!r}{where} is hardly a class{say_names(pictures, asked)};"
        )
        allowed += f" 1 if it is one beside the others (`{asked.set_to(1)}`)"
    return refuse(asked.label, allowed, AUTOMATIC)


def say_names(pictures: Iterable[str], asked: Asked = BY_PARAMETERS) -> str:
    """How names of files give the classes, as a part of a sentence; empty if they do not."""
    suggested = suggest_expression(pictures)
    if suggested is None:
        return ""
    expression, classes = suggested
    return f"; if {_name(classes)} in the names are the classes: `{asked.set_to(expression)}`"


def _differ_in_case(
    written: Mapping[str, Mapping[str, list[str]]],
) -> list[tuple[_Writing, _Writing]]:
    """Classes that differ in capital letters alone, in pairs, the more frequent one first."""
    classes: dict[str, list[_Writing]] = defaultdict(list)
    for name, ways in written.items():
        paths = [path for several in ways.values() for path in several]
        classes[normal(name.casefold())].append((name, paths))
    for several in classes.values():
        several.sort(key=lambda writing: -len(writing[1]))
    return [(first, other) for first, *others in classes.values() for other in others]


def _refuse_case(pairs: list[tuple[_Writing, _Writing]], folder: str | None) -> UserError:
    (one, paths), (other, others) = pairs[0]
    how = f"write {one!r} for {other!r} everywhere"
    if folder is not None:
        moves = [move for pair in pairs for move in _rename(pair, folder)]
        how = f"`{' && '.join(moves)}`"
    allowed = f"named in one way, not in two that differ in capital letters alone: {how}"
    return refuse("a class", allowed, f"{one} ({paths[0]}), {other} ({others[0]})")


def _rename(pair: tuple[_Writing, _Writing], folder: str) -> list[str]:
    """The commands that give folders of one class the name of the other."""
    (one, paths), (other, others) = pair
    present = {str(place) for path in paths for place in PurePosixPath(path).parents}
    moves = []
    places = {place for path in others for place in PurePosixPath(path).parents}
    for place in sorted(place for place in places if normal(place.name) == other):
        before, after = (
            shlex.quote(str(PurePosixPath(folder, here))) for here in (place, place.with_name(one))
        )
        # Where both are beside each other, one goes into the other.
        both = str(place.with_name(one)) in present
        moves.append(f"mv -n {before}/* {after}/" if both else f"mv {before} {after}")
    return moves


def _name(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")
