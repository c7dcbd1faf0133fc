"""Corrections by hand: a table that gives pictures another label, or leaves them out.

    path,id,label,leave_out
    cat/7.jpg,9f86…,dog,
    cat/9.jpg,,,yes

A row names a picture by its path, or by its id, which is a hash of its bytes. The id comes first:
it also means every other file with the same bytes, wherever it is now.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from graft.common.atomic import write_text
from graft.common.cautions import Caution
from graft.common.classes import natural, normal
from graft.common.errors import nearest, refuse
from graft.labelling.labels import Label
from graft.labelling.table import read_csv_rows

COLUMNS = ("path", "id", "label", "leave_out")
LEAVE_OUT = "yes"
_ID = re.compile("[0-9a-f]{32}")
_SHOWN = 20  # classes that a message lists


class Correction(NamedTuple):
    """One row.

    Attributes:
        line: where it stands, for messages.
        path: of the file, as the manifest has it; may be empty where the id is given.
        id: of the picture; may be empty where the path is given.
        label: of the picture; empty if it is left out.
        more: the other columns.
    """

    line: str
    path: str
    id: str
    label: str
    more: Mapping[str, str]

    @property
    def picture(self) -> str:
        """What a message calls it."""
        return self.path or self.id


class Corrected(NamedTuple):
    """Labels with the corrections in them.

    Attributes:
        labels: of each file; that of a file which is left out is empty.
        decided: the paths of files that have their label by a correction.
        changed: how many files have another label than before.
        left_out: how many are left out.
        cautions: what a person should know.
    """

    labels: dict[str, Label]
    decided: frozenset[str]
    changed: int
    left_out: int
    cautions: list[Caution]


def read_corrections(data: bytes, where: str) -> list[Correction]:
    """The rows of a table of corrections, in its order.

    Args:
        data: the bytes of a CSV with the column path or id, and label or leave_out; there may be
            others.
        where: what it is called in errors.

    Raises:
        UserError: it is not of that form; the line is named.
    """
    header, rows = read_csv_rows(data, where)
    if not {"path", "id"}.intersection(header) or not {"label", "leave_out"}.intersection(header):
        allowed = "a CSV whose first line names the column path or id, and label or leave_out"
        raise refuse(where, allowed, ", ".join(header)[:200])
    return [_read_row(line, row) for line, row in rows]


def _read_row(line: str, row: dict[str, str]) -> Correction:
    path, id_, label, leave_out = (row.get(name, "") for name in COLUMNS)
    if not path and not id_:
        raise refuse(f"{line}: path", "given, or an id", "")
    if id_ and not _ID.fullmatch(id_):
        raise refuse(f"{line}: id", "32 hexadecimal digits, as data/manifest.csv has them", id_)
    if leave_out not in ("", LEAVE_OUT):
        raise refuse(f"{line}: leave_out", f"{LEAVE_OUT}, or empty", leave_out)
    if bool(label) == bool(leave_out):
        received = f"{label}, {leave_out}" if label else ""
        raise refuse(line, f"a row with a label, or with leave_out {LEAVE_OUT}", received)
    more = {name: cell for name, cell in row.items() if name not in COLUMNS}
    return Correction(line, path, id_, normal(label), more)


def write_corrections(path: Path, rows: Iterable[Correction]) -> None:
    """Writes a table of corrections, whole or not at all.

    Args:
        path: of the table.
        rows: in any order; they are written in natural order of the paths.
    """
    ordered = sorted(rows, key=lambda row: (natural(row.path), row.id))
    more = dict.fromkeys(name for row in ordered for name in row.more)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *more])
    for row in ordered:
        leave_out = "" if row.label else LEAVE_OUT
        others = [row.more.get(name, "") for name in more]
        writer.writerow([row.path, row.id, row.label, leave_out, *others])
    write_text(path, text.getvalue())


def match_corrections(
    corrections: Sequence[Correction], ids: Mapping[str, str]
) -> tuple[dict[str, Correction], list[Correction]]:
    """Which files the rows mean, and which rows mean none.

    Args:
        corrections: the rows.
        ids: of all files, by their path.

    Returns:
        The row of each file that one means, by its path; and the rows that match no file.

    Raises:
        UserError: two rows say different things of one file.
    """
    by_id: dict[str, list[str]] = defaultdict(list)
    for path, id_ in ids.items():
        by_id[id_].append(path)
    found: dict[str, Correction] = {}
    lost = []
    for row in corrections:
        paths = by_id.get(row.id, []) if row.id else [row.path] if row.path in ids else []
        for path in paths:
            other = found.setdefault(path, row)
            if other.label != row.label:
                said = [each.label or "left out" for each in (other, row)]
                received = f"{said[0]} ({other.line}), {said[1]} ({row.line})"
                raise refuse(f"what is said of {path!r}", "one label", received)
        if not paths:
            lost.append(row)
    return found, lost


def check_known(corrections: Iterable[Correction], classes: Iterable[str]) -> None:
    """Checks that the labels of corrections are classes of the data set.

    Args:
        corrections: the rows.
        classes: the names of the classes.

    Raises:
        UserError: one is not.
    """
    known = {normal(name): None for name in sorted(classes, key=natural)}
    for row in corrections:
        if row.label and row.label not in known:
            names = [*map(repr, [*known][:_SHOWN]), *["…"] * (len(known) > _SHOWN)]
            allowed = (
                f"a class of the data set: {', '.join(names)}{nearest(row.label, known, repr)}"
            )
            raise refuse(f"{row.line}: label", allowed, row.label)


def correct_labels(
    labels: Mapping[str, Label], ids: Mapping[str, str], data: bytes, where: str
) -> Corrected:
    """Labels with the corrections of a table in them.

    Args:
        labels: of each file that has one, by its path.
        ids: of all files, by their path.
        data: the bytes of the table.
        where: what the table is called.

    Raises:
        UserError: the table is not of its form, a label is no class of the data set, or two rows
            say different things of one file.
    """
    rows = read_corrections(data, where)
    check_known(rows, {said.label for said in labels.values()})
    found, lost = match_corrections(rows, ids)
    after = dict(labels)
    for path, row in found.items():
        after[path] = replace(labels.get(path, Label("")), label=row.label)
    changed = sum(bool(row.label) and after[p] != labels.get(p) for p, row in found.items())
    decided = frozenset(path for path, row in found.items() if row.label)
    return Corrected(after, decided, changed, len(found) - len(decided), _say_lost(rows, lost))


def _say_lost(rows: Sequence[Correction], lost: Sequence[Correction]) -> list[Caution]:
    if not lost:
        return []
    number = f"{len(lost):,} of {len(rows):,} corrections"
    match = "match" if len(lost) > 1 else "matches"
    return [Caution(f"{number} {match} no picture: {lost[0].picture!r} ({lost[0].line})")]
