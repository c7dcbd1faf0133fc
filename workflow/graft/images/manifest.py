"""List every file with its label and a hash of its bytes."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from graft.common.classes import natural
from graft.common.errors import UserError, refuse
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import write_table
from graft.images import files, labels
from graft.images.files import SOURCE, File
from graft.images.labels import Label
from graft.images.sources import WHERE_SOURCE, Source, is_csv, open_source

_COLUMNS = ["id", "path", "label", "group", "part", "shard", "reason"]


def main(stage: Stage) -> None:
    """Writes `manifest.csv`: a row a file, in natural order of the paths.

    Its columns are id, path, label, group, part, shard and reason, and the other columns of a CSV,
    with `csv_` before their names. Group and part are empty where the source does not give them.
    Reason says why a file's bytes cannot be had; the label of a file outside every class, such as
    one with a hostile path, is empty. The shard follows from the id, so that equal files share a
    shard and an added image moves no other.

    Raises:
        UserError: the source cannot be read, or there is nothing in it.
    """
    path = stage["dataset.path"]
    with open_source(path) as source, Progress("manifest", None, "files") as progress:
        known = labels.by_csv(_csv_bytes(source, path), path) if is_csv(path) else None
        listed, table = _list(source.files(known), progress)
    by_csv = known is not None
    if known is None:
        known, by_csv = _label(path, listed, table)
    if by_csv:
        listed += _missing(known, listed)
    rows = sorted(
        _rows(listed, known, int(stage.options["shards"])), key=lambda row: natural(row[1])
    )
    names = {row[2] for row in rows} - {""}
    if not names:
        raise refuse(WHERE_SOURCE, SOURCE, path)
    more = next(iter(known.values())).more
    write_table(stage.output("data/manifest.csv"), pd.DataFrame(rows, columns=[*_COLUMNS, *more]))
    ignored = len(listed) - len(rows)
    note = f"; {ignored} outside the class folders ignored" if ignored else ""
    print(f"manifest: {len(rows)} files in {len(names)} classes{note}")


class _Listed(NamedTuple):
    path: str
    id: str
    problem: str


def _rows(
    listed: Iterable[_Listed], known: dict[str, Label], shards: int
) -> Iterator[tuple[str | int, ...]]:
    """The rows of the manifest: of files with a label, and of those with a hostile path."""
    for file in listed:
        label = known.get(file.path)
        if label is None and file.problem in files.OUTSIDE:
            label = Label("")
        if label is not None:
            said = (label.label, label.group, label.part)
            shard = int(file.id, 16) % shards
            yield (file.id, file.path, *said, shard, file.problem, *label.more.values())


def _csv_bytes(source: Source, path: str) -> bytes:
    (file,) = source.files([Path(path).name])
    if file.data is None:
        raise UserError(f"{path!r} cannot be read: {file.problem}")
    return file.data


def _list(found: Iterable[File], progress: Progress) -> tuple[list[_Listed], bytes]:
    """Every file with its id, and the bytes of the CSV that may say what the others are."""
    listed: list[_Listed] = []
    times: Counter[str] = Counter()
    table, depth = b"", math.inf
    for file in found:
        if file.data is None:
            id_ = files.unread_identity(file.path, file.problem, times[file.path])
        else:
            id_ = files.identity(file.data)
            parts = PurePosixPath(file.path).parts
            # Only one that lies above all others counts; a data set may hold any number.
            if parts[-1:] == (labels.LABELS_CSV,) and len(parts) < depth:
                table, depth = file.data, len(parts)
        listed.append(_Listed(file.path, id_, file.problem))
        times[file.path] += 1
        progress.advance()
    twice = {path: 0 for path, count in times.items() if count > 1}
    for place, file in enumerate(listed):
        if file.path in twice:
            id_ = files.unread_identity(file.path, files.NAME_TWICE, twice[file.path])
            listed[place] = _Listed(file.path, id_, files.NAME_TWICE)
            twice[file.path] += 1
    return listed, table


def _label(path: str, listed: list[_Listed], table: bytes) -> tuple[dict[str, Label], bool]:
    """The label of each path, and whether a CSV in the data set gives it."""
    inside = {file.path: file for file in listed if file.problem not in files.OUTSIDE}
    top = labels.find_csv(inside)
    if top is None:
        return labels.by_folders(inside), False
    if inside[top].problem:
        raise UserError(f"{path!r}: {top!r} cannot be read: {inside[top].problem}")
    return labels.by_csv(table, f"{path}: {top}", str(PurePosixPath(top).parent)), True


def _missing(known: Iterable[str], listed: Iterable[_Listed]) -> list[_Listed]:
    """What a CSV names and the data set does not hold."""
    names = sorted(set(known).difference(file.path for file in listed))
    problems = [files.problem_of_path(name) or files.MISSING for name in names]
    return [
        _Listed(name, files.unread_identity(name, problem, 0), problem)
        for name, problem in zip(names, problems, strict=True)
    ]
