"""Which file is an image of which class: by a CSV, or by the folders of the files.

    photos/                       photos/
      cat/ 1.jpg 2.jpg …            labels.csv      path,label,group,part
      dog/ 1.jpg 2.jpg …            1.jpg 2.jpg …   1.jpg,cat,Anna,train

Every file below a class folder belongs to that class, however deep. A folder that only wraps the
class folders (`photos.zip` holding `photos/cat/…`) is looked through. Where two folders or more
are parts (`train`, `validation`, `test_set`: names as people use them) with folders in them, the
class folders are those. Files beside the class folders are images of no class and are left alone.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from graft.common.errors import UserError, refuse
from graft.common.tables import CSV_PREFIX

# A file of this name at the top of a folder or an archive says what the images are.
LABELS_CSV = "labels.csv"
# Characters of the longest line of it, and those of a wrong one that an error shows.
_LONGEST_LINE, _SHOWN = 2**20, 200
# How people call the parts.
_PART_NAMES = dict.fromkeys(("train", "training", "train_set", "training_set"), "train")
_PART_NAMES |= dict.fromkeys(("valid", "validation", "val"), "valid")
_PART_NAMES |= dict.fromkeys(("valid_set", "validation_set", "val_set"), "valid")
_PART_NAMES |= dict.fromkeys(("test", "testing", "test_set", "testing_set"), "test")


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


def by_folders(paths: Collection[str]) -> dict[str, Label]:
    """The class of each file by its folders; files that belong to none are left out.

    Args:
        paths: of all files, with `/` between the parts.
    """
    # Files of a folder share all that is said of them.
    folders = {parent: parent.split("/") for parent in {_parent(path) for path in paths} - {""}}
    level = 0
    # A level with one folder and no class beside it wraps the classes, unless it is a class itself.
    while len(_names(folders.values(), level)) == 1 and max(map(len, folders.values())) > level + 1:
        level += 1
    tops = _names(folders.values(), level)
    given = {top: _PART_NAMES[top.lower()] for top in tops if top.lower() in _PART_NAMES}
    # One class of several may be called `train`, and beside the folders of two parts or more there
    # may be others, such as one of photos to try the model on.
    holding = {names[level] for names in folders.values() if len(names) > level + 1}
    parts_with_folders = {given[top] for top in holding.intersection(given)}
    parts_alone = set(given.values()) if given.keys() == tops else set()
    divided = len(parts_with_folders) > 1 or len(parts_alone) > 1
    labels = {
        parent: Label(names[level + divided], given[names[level]] if divided else "")
        for parent, names in folders.items()
        if len(names) > level + divided and (names[level] in given or not divided)
    }
    return {path: labels[_parent(path)] for path in paths if _parent(path) in labels}


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _names(folders: Iterable[list[str]], level: int) -> set[str]:
    """The names of folders at that level."""
    return {names[level] for names in folders if len(names) > level}


def find_csv(paths: Collection[str]) -> str | None:
    """The path of the CSV at the top of a data set, if there is one.

    It may be in a folder that wraps everything; files beside that folder do not matter.

    Args:
        paths: of all files.
    """
    named = [path for path in paths if PurePosixPath(path).name == LABELS_CSV]
    top = min(named, key=lambda path: len(PurePosixPath(path).parts), default=None)
    if top is None:
        return None
    base = PurePosixPath(top).parent
    for path in map(PurePosixPath, paths):
        if not path.is_relative_to(base) and not base.is_relative_to(path.parent):
            return None
    return top


def by_csv(data: bytes, where: str, base: str = "") -> dict[str, Label]:
    """The class of each file by a CSV with the columns path and label.

    Columns group and part are known as well; part is empty or a name as people use it.

    Args:
        data: the bytes of the CSV: UTF-8, commas, a header.
        where: what the CSV is called in errors.
        base: the folder that its paths start from.

    Raises:
        UserError: the CSV is not of that form; the line is named.
    """
    found: dict[str, Label] = {}
    for line, row in _rows(data, where, ("path", "label")):
        part = row.pop("part", "")
        if part and part.lower() not in _PART_NAMES:
            raise refuse(f"{line}: part", f"empty or one of {', '.join(_PART_NAMES)}", part)
        path = str(PurePosixPath(base, row.pop("path")))
        if path in found:
            raise refuse(f"{line}: path", "a file that no line before names", path)
        label, group = row.pop("label"), row.pop("group", "")
        more = {CSV_PREFIX + name: cell for name, cell in row.items()}
        found[path] = Label(label, _PART_NAMES.get(part.lower(), ""), group, more)
    if not found:
        raise refuse(where, "a CSV with a line for each file", "none")
    return found


def paths_by_csv(data: bytes, where: str) -> Iterator[str]:
    """The paths that a CSV lists, in its order; other columns than `path` may be there.

    Args:
        data: the bytes of the CSV, as of `by_csv`.
        where: what the CSV is called in errors.

    Raises:
        UserError: the CSV is not of that form; the line is named.
    """
    return (row["path"] for _, row in _rows(data, where, ("path",)))


def _rows(data: bytes, where: str, needed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each line of a CSV below its header, with what it is called in errors.

    Args:
        data: the bytes of the CSV.
        where: what the CSV is called in errors.
        needed: the columns in which every line must have something.
    """
    try:
        text = data.decode("utf-8-sig")  # Excel begins its files with a mark
    except UnicodeDecodeError as error:
        raise refuse(where, "a CSV in UTF-8", data[error.start : error.start + 8]) from None
    reader = csv.reader(_lines(text, where), strict=True)
    try:
        header = next(reader, [])
        if not set(needed) <= set(header) or len(set(header)) < len(header):
            names = " and ".join(needed)
            allowed = f"a CSV whose first line names the columns, {names} among them, once"
            raise refuse(where, allowed, ",".join(header)[:_SHOWN])
        for cells in filter(None, reader):  # an empty line has no cell
            line = f"{where}, line {reader.line_num}"
            if len(cells) != len(header):
                allowed = f"{len(header)} cells, as the first line has"
                raise refuse(line, allowed, ",".join(cells)[:_SHOWN])
            row = dict(zip(header, cells, strict=True))
            for column in needed:
                if not row[column]:
                    raise refuse(f"{line}: {column}", "given", "")
            yield line, row
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num}: {error}") from None


def _lines(text: str, where: str) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if len(line) > _LONGEST_LINE:
            allowed = f"at most {_LONGEST_LINE:,} characters"
            raise refuse(f"{where}, line {number}", allowed, f"{len(line):,} characters")
        yield line
