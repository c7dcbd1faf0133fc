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
from graft.images import files
from graft.images.files import File
from graft.images.sources import Source, is_csv, open_source
from graft.labelling.corrections import Corrected, correct_labels
from graft.labelling.labels import Label, unify
from graft.labelling.overview import find_empty, find_passed_over, refuse_unlabelled
from graft.labelling.rules import Labelled, label_files, locate, read_label_table
from graft.labelling.table import find_csv

_COLUMNS = ["id", "path", "label", "by_hand", "group", "part", "shard", "reason"]
# Why a path of a table may be written otherwise than its file.
_GONE = (files.MISSING, *files.OUTSIDE)
_FAR = 4  # times the files that a shard is made for, above which it is said


def main(stage: Stage) -> None:
    """Writes `manifest.csv`: a row a file, in natural order of the paths.

    Its columns are id, path, label, by_hand, group, part, shard and reason, and the other columns
    of a CSV, with `csv_` before their names. By_hand is `yes` where the label is by a correction.
    Group and part are empty where the source does not give them. Reason says why a file's bytes
    cannot be had. The label is empty where a correction leaves the file out, or its path is
    hostile. The shard follows from the id, so that equal files share a shard and an added image
    moves no other. `warnings/manifest.json` says what was passed over.

    Raises:
        UserError: the source cannot be read, there is nothing in it, it is not clear which label
            a file has, or the corrections are not of their form.
    """
    path, rule = stage["dataset.path"], stage["dataset.label"]
    with open_source(path) as source, Progress("manifest", None, "files") as progress:
        listing = _list_by_table if is_csv(path) else _list_all
        listed, empty, table = listing(source, path, rule, progress)
    inside = {file.path: file for file in listed if file.problem not in files.OUTSIDE}
    pictures = {path for path, file in inside.items() if file.picture} or {*inside}
    known = label_files(table, inside, pictures, rule)
    in_folders = path if Path(path).is_dir() and table is None else None
    unified = unify(known.labels, in_folders)
    ids = {path: file.id for path, file in inside.items()}
    where = stage["dataset.corrections"]
    corrected = correct_labels(unified.labels, ids, stage.input(where).read_bytes(), where)
    for name in set(corrected.labels).difference(file.path for file in listed):
        listed.append(_unread(name, files.problem_of_path(name) or files.MISSING))
    listed.sort(key=lambda file: natural(file.path))
    shards = int(stage.options["shards"])
    rows = list(_rows(listed, corrected, shards))
    names, paths = {row[2] for row in rows} - {""}, [file.path for file in listed]
    if not names:
        raise refuse_unlabelled(path, paths)
    more = next(iter(unified.labels.values())).more
    write_table(stage.output("data/manifest.csv"), pd.DataFrame(rows, columns=[*_COLUMNS, *more]))
    cautions = [*known.cautions, *unified.cautions, *corrected.cautions]
    folders = {path.rpartition("/")[0] for path in inside} - {""}
    cautions += find_empty(known.tops, folders.union(empty), pictures)
    cautions += find_passed_over(paths, {row[1] for row in rows})
    write_warnings(stage, "data/warnings/manifest.json", cautions)
    ignored = len(listed) - len(rows)
    note = f"; {ignored} outside the class folders ignored" if ignored else ""
    if corrected.decided or corrected.left_out:
        note += f"; by {where} {corrected.changed} have another label"
        note += f" and {corrected.left_out} are left out"
    if len(rows) > _FAR * files.SHARD_FILES * shards:
        note += f"; {len(rows) // shards:,} a shard: `graft use --shards auto` makes more of them"
    print(f"manifest: {len(rows)} files in {len(names)} classes{note}")


class _Listed(NamedTuple):
    path: str
    id: str
    problem: str
    picture: bool = True


class _Listing(NamedTuple):
    """The files of a source, its empty folders, and what a table in it says."""

    files: list[_Listed]
    empty: list[str]
    table: Labelled | None


def _unread(path: str, problem: str, number: int = 0) -> _Listed:
    """A file whose bytes cannot be had; the number tells apart those that share a path."""
    name = f"{problem}\0{path}\0{number}".encode()
    return _Listed(path, files.identity(name, unread=True), problem)


def _list_by_table(source: Source, path: str, rule: str | int, progress: Progress) -> _Listing:
    """The files that a CSV names, which `dataset.path` names."""
    table = read_label_table(source, Path(path).name, path, "", rule)
    listed, _ = _list(source.files(table.labels), progress)
    gone = {file.path for file in listed if file.problem in _GONE}
    if gone:
        good = [file for file in listed if file.path not in gone]
        there = set(source.paths()) - {file.path for file in good} - {Path(path).name}
        table = locate(table.labels, gone, there, path)
        more, _ = _list(source.files(there.intersection(table.labels)), progress)
        listed = [*good, *more]
    return _Listing(listed, [], table)


def _list_all(source: Source, path: str, rule: str | int, progress: Progress) -> _Listing:
    """All files of a folder or an archive, and the table at its top."""
    listed, empty = _list(source.files(folders=True), progress)
    inside = {file.path: file.problem for file in listed if file.problem not in files.OUTSIDE}
    top = find_csv(inside)
    if top is None:
        return _Listing(listed, empty, None)
    if inside[top]:
        raise UserError(f"{path!r}: {top!r} cannot be read: {inside[top]}")
    where, base = f"{path}: {top}", str(PurePosixPath(top).parent)
    table = read_label_table(source, top, where, base, rule)
    if gone := {path for path in table.labels if path not in inside}:
        there = inside.keys() - table.labels.keys() - {top}
        table = locate(table.labels, gone, there, where)
    return _Listing(listed, empty, table)


def _list(found: Iterable[File], progress: Progress) -> tuple[list[_Listed], list[str]]:
    """Every file with its id, and the paths of folders."""
    listed: dict[str, list[_Listed]] = {}
    folders = []
    for file in found:
        path, data, problem = file
        if problem == files.FOLDER:
            folders.append(path)
            continue
        picture = files.is_picture(file)
        one = _unread(path, problem) if data is None else _Listed(path, files.identity(data), "")
        listed.setdefault(path, []).append(one._replace(picture=picture))
        progress.advance()
    for path, several in listed.items():
        if len(several) > 1:
            listed[path] = [_unread(path, files.NAME_TWICE, n) for n in range(len(several))]
    return list(chain.from_iterable(listed.values())), folders


def _rows(listed: list[_Listed], known: Corrected, shards: int) -> Iterator[tuple]:
    """The rows of the manifest: of files with a label, and of those with a hostile path."""
    none = dict.fromkeys(next(iter(known.labels.values())).more if known.labels else (), "")
    for file in listed:
        outside = file.problem in files.OUTSIDE
        said = known.labels.get(file.path, Label("") if outside else None)
        if said is not None:
            by_hand = "yes" if file.path in known.decided else ""
            facts = said.label, by_hand, said.group, said.part
            shard = int(file.id, 16) % shards
            yield (file.id, file.path, *facts, shard, file.problem, *(none | said.more).values())
