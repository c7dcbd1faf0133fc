"""List every file with its label and a hash of its bytes."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from graft.common.cautions import write_warnings
from graft.common.classes import natural
from graft.common.errors import UserError
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import write_table
from graft.images import files, labels
from graft.images.files import File
from graft.images.labels import Label
from graft.images.overview import find_passed_over, refuse_unlabelled
from graft.images.sources import Source, is_csv, open_source

_COLUMNS = ["id", "path", "label", "group", "part", "shard", "reason"]
_FAR = 4  # times the files that a shard is made for, above which it is said


def main(stage: Stage) -> None:
    """Writes `manifest.csv`: a row a file, in natural order of the paths.

    Its columns are id, path, label, group, part, shard and reason, and the other columns of a CSV,
    with `csv_` before their names. Group and part are empty where the source does not give them.
    Reason says why a file's bytes cannot be had; the label of a file outside every class, such as
    one with a hostile path, is empty. The shard follows from the id, so that equal files share a
    shard and an added image moves no other. `warnings/manifest.json` says what was passed over.

    Raises:
        UserError: the source cannot be read, or there is nothing in it.
    """
    path = stage["dataset.path"]
    with open_source(path) as source, Progress("manifest", None, "files") as progress:
        known = _by_csv(source, Path(path).name, path) if is_csv(path) else None
        listed = _list(source.files(known), progress)
        known = known or _label(path, listed, source)
    for name in set(known).difference(file.path for file in listed):
        listed.append(_unread(name, files.problem_of_path(name) or files.MISSING))
    listed.sort(key=lambda file: natural(file.path))
    shards = int(stage.options["shards"])
    rows = list(_rows(listed, known, shards))
    names, paths = {row[2] for row in rows} - {""}, [file.path for file in listed]
    if not names:
        raise refuse_unlabelled(path, paths)
    more = next(iter(known.values())).more
    write_table(stage.output("data/manifest.csv"), pd.DataFrame(rows, columns=[*_COLUMNS, *more]))
    passed_over = find_passed_over(paths, {row[1] for row in rows})
    write_warnings(stage, "data/warnings/manifest.json", passed_over)
    ignored = len(listed) - len(rows)
    note = f"; {ignored} outside the class folders ignored" if ignored else ""
    if len(rows) > _FAR * files.SHARD_FILES * shards:
        note += f"; {len(rows) // shards:,} a shard: `graft use --shards auto` makes more of them"
    print(f"manifest: {len(rows)} files in {len(names)} classes{note}")


class _Listed(NamedTuple):
    path: str
    id: str
    problem: str


def _unread(path: str, problem: str, number: int = 0) -> _Listed:
    """A file whose bytes cannot be had; the number tells apart those that share a path."""
    name = f"{problem}\0{path}\0{number}".encode()
    return _Listed(path, files.identity(name, unread=True), problem)


def _by_csv(source: Source, name: str, where: str, base: str = "") -> dict[str, Label]:
    """The label of each path by a CSV of the source; `where` is what it is called in errors."""
    file = next(source.files([name]))
    if file.data is None:
        raise UserError(f"{where!r} cannot be read: {file.problem}")
    return labels.by_csv(file.data, where, base)


def _list(found: Iterable[File], progress: Progress) -> list[_Listed]:
    """Every file with its id."""
    listed: dict[str, list[_Listed]] = {}
    for path, data, problem in found:
        one = _unread(path, problem) if data is None else _Listed(path, files.identity(data), "")
        listed.setdefault(path, []).append(one)
        progress.advance()
    for path, several in listed.items():
        if len(several) > 1:
            listed[path] = [_unread(path, files.NAME_TWICE, n) for n in range(len(several))]
    return list(chain.from_iterable(listed.values()))


def _label(path: str, listed: Iterable[_Listed], source: Source) -> dict[str, Label]:
    """The label of each path, by the CSV at the top of the data set or else by the folders."""
    inside = {file.path: file.problem for file in listed if file.problem not in files.OUTSIDE}
    top = labels.find_csv(inside)
    if top is None:
        return labels.by_folders(inside)
    if inside[top]:
        raise UserError(f"{path!r}: {top!r} cannot be read: {inside[top]}")
    return _by_csv(source, top, f"{path}: {top}", str(PurePosixPath(top).parent))


def _rows(listed: list[_Listed], known: dict[str, Label], shards: int) -> Iterator[tuple]:
    """The rows of the manifest: of files with a label, and of those with a hostile path."""
    for file in listed:
        label = known.get(file.path, Label("") if file.problem in files.OUTSIDE else None)
        if label is not None:
            said = (label.label, label.group, label.part)
            shard = int(file.id, 16) % shards
            yield (file.id, file.path, *said, shard, file.problem, *label.more.values())
