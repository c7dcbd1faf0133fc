"""A CSV that says which file is an image of which class.

    photos/
      labels.csv      path,label,group,part
      1.jpg 2.jpg …   1.jpg,cat,Anna,train

Columns are found by the names that people give them, and cells may be divided by commas,
semicolons, tabs or bars.
"""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

from graft.common.errors import UserError, refuse
from graft.common.tables import CSV_PREFIX
from graft.labelling.labels import AUTOMATIC, BY_PARAMETERS, Asked, Label
from graft.labelling.names import WORDS, read_part

# A file of this name at the top of a folder or an archive says what the images are.
LABELS_CSV = "labels.csv"
# Characters of the longest line of it, and those of a wrong one that an error shows.
_LONGEST_LINE, _SHOWN = 2**20, 200
_SEPARATORS = ",;\t|"
# How people call the columns, in small letters; the first that is there is taken.
_PATH, _LABEL, _PART = (WORDS["columns"][name] for name in ("path", "label", "part"))
_Rows = Iterator[tuple[str, dict[str, str]]]


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


def by_csv(
    data: bytes,
    where: str,
    base: str = "",
    rule: str | int = AUTOMATIC,
    asked: Asked = BY_PARAMETERS,
) -> dict[str, Label]:
    """What a CSV says of each file; the label is empty where another rule gives it.

    Columns group and part are known as well; part is empty or a name as people use it.

    Args:
        data: the bytes of the CSV: UTF-8, with a header.
        where: what the CSV is called in errors.
        base: the folder that its paths start from.
        rule: `auto` or the name of a column, as `dataset.label` says, else no label is read.
        asked: what messages call that.

    Raises:
        UserError: the CSV is not of that form; the line is named.
    """
    header, lines = read_csv_rows(data, where)
    path_column = _find(header, _PATH, where)
    label_column = rule if rule in header else None
    if rule == AUTOMATIC and label_column is None:
        another = f"; another column is taken by `{asked.set_to('COLUMN')}`"
        label_column = _find(header, _LABEL, where, another)
    part_column = _find_part(header, data, where)
    found: dict[str, Label] = {}
    for line, row in lines:
        for column in filter(None, (path_column, label_column)):
            if not row[column]:
                raise refuse(f"{line}: {column}", "given", "")
        path, part = str(PurePosixPath(base, row[path_column])), row.get(part_column, "")
        if path in found:
            raise refuse(f"{line}: {path_column}", "a file that no line before names", path)
        said = read_part(part)
        if part and not said:
            raise refuse(f"{line}: {part_column}", "empty, or train, valid or test", part)
        used = (path_column, label_column, part_column, "group")
        more = {CSV_PREFIX + name: cell for name, cell in row.items() if name not in used}
        label = row[label_column] if label_column else ""
        found[path] = Label(label, said.part if said else "", row.get("group", ""), more)
    if not found:
        raise refuse(where, "a CSV with a line for each file", "none")
    return found


def paths_by_csv(data: bytes, where: str) -> list[str]:
    """The paths that a CSV lists, in its order; other columns may be there.

    Args:
        data: the bytes of the CSV, as of `by_csv`.
        where: what the CSV is called in errors.

    Raises:
        UserError: the CSV is not of that form; the line is named.
    """
    header, lines = read_csv_rows(data, where)
    column = _find(header, _PATH, where)
    paths = []
    for line, row in lines:
        if not row[column]:
            raise refuse(f"{line}: {column}", "given", "")
        paths.append(row[column])
    return paths


def _find(header: Sequence[str], known: Sequence[str], where: str, more: str = "") -> str:
    """The column that has one of these names, in small or capital letters."""
    folded = {name.strip().casefold(): name for name in reversed(header)}
    column = next((folded[name] for name in known if name in folded), None)
    if column is None:
        allowed = f"a CSV whose first line names the column {known[0]} (or {', '.join(known[1:])})"
        raise refuse(where, f"{allowed}{more}", ", ".join(header)[:_SHOWN])
    return column


def _find_part(header: Sequence[str], data: bytes, where: str) -> str:
    """The column that says the part; one of another name only if it says nothing else."""
    name = next((name for name in _PART if name in header), "")
    if name in ("", _PART[0]):
        return name
    cells = (row[name] for _, row in read_csv_rows(data, where)[1])
    return name if all(not cell or read_part(cell) for cell in cells) else ""


def read_csv_rows(data: bytes, where: str) -> tuple[list[str], _Rows]:
    """The names of the columns of a CSV, and each line below them with what it is called in errors.

    Args:
        data: the bytes: UTF-8, with a header; commas, semicolons, tabs or bars between cells.
        where: what the CSV is called in errors.

    Raises:
        UserError: it is not of that form; the line is named.
    """
    try:
        text = data.decode("utf-8-sig")  # Excel begins its files with a mark
    except UnicodeDecodeError as error:
        raise refuse(where, "a CSV in UTF-8", data[error.start : error.start + 8]) from None
    first = next(iter(text.splitlines()), "")
    separator = max(_SEPARATORS, key=first.count)  # the comma, where there is none
    reader = csv.reader(_lines(text, where), strict=True, delimiter=separator)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num}: {error}") from None
    if len(set(header)) < len(header):
        allowed = "a CSV whose first line names each column once"
        raise refuse(where, allowed, ",".join(header)[:_SHOWN])
    return header, _rows(reader, header, where)


def _rows(reader, header: list[str], where: str) -> _Rows:
    try:
        for cells in filter(None, reader):  # an empty line has no cell
            line = f"{where}, line {reader.line_num}"
            if len(cells) != len(header):
                allowed = f"{len(header)} cells, as the first line has"
                raise refuse(line, allowed, ",".join(cells)[:_SHOWN])
            yield line, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{where}, line {reader.line_num}: {error}") from None


def _lines(text: str, where: str) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if len(line) > _LONGEST_LINE:
            allowed = f"at most {_LONGEST_LINE:,} characters"
            raise refuse(f"{where}, line {number}", allowed, f"{len(line):,} characters")
        yield line
