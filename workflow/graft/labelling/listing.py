"""Every file of a source with its id and its label, whichever way the label is given."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from graft.common.cautions import Caution
from graft.common.classes import natural
from graft.common.errors import UserError
from graft.common.progress import Progress
from graft.decoder import reasons
from graft.images import files
from graft.images.files import File
from graft.images.sources import Source, is_csv, open_source
from graft.labelling.corrections import Corrected, correct_labels
from graft.labelling.labels import BY_PARAMETERS, Asked, Label, unify
from graft.labelling.overview import find_empty, find_passed_over, refuse_unlabelled
from graft.labelling.rules import Labelled, label_files, locate, read_label_table
from graft.labelling.table import find_csv

# Why a path of a table may be written otherwise than its file.
_GONE = (reasons.MISSING, *files.OUTSIDE)


class ListedFile(NamedTuple):
    """One file.

    Attributes:
        path: its path within the data set.
        id: as of `files.identity`, of its bytes.
        problem: why its bytes cannot be had, as of `File`; else empty.
        picture: whether it is meant as a picture.
    """

    path: str
    id: str
    problem: str
    picture: bool = True


class LabelledFiles(NamedTuple):
    """All files of a source, and what is said of them.

    Attributes:
        files: in natural order of the paths.
        corrected: what is said of them, and what of it is by hand.
        cautions: what a person should know of it.
    """

    files: list[ListedFile]
    corrected: Corrected
    cautions: list[Caution]

    @property
    def labels(self) -> dict[str, Label]:
        """What is said of each file that has a label, by its path; one or more.

        The label of a file that is left out by hand is empty.
        """
        return self.corrected.labels

    def is_listed(self, file: ListedFile) -> bool:
        """Whether a file counts: it has a label, or a path that must not be followed."""
        return file.path in self.labels or file.problem in files.OUTSIDE


def list_labelled(
    path: str,
    rule: str | int,
    title: str,
    asked: Asked = BY_PARAMETERS,
    anywhere: bool = False,
    corrections: tuple[bytes, str] | None = None,
) -> LabelledFiles:
    """Reads every file of a source once, and finds its label.

    Args:
        path: a folder, an archive or a CSV, as `dataset.path` has it.
        rule: as `dataset.label` has it.
        title: of the progress.
        asked: what messages call these.
        anywhere: whether a CSV may name any file, as of `Folder`.
        corrections: the bytes of a table of them, and what it is called.

    Raises:
        UserError: the source cannot be read, there is nothing in it, it is not clear which label
            a file has, or the corrections are not of their form.
    """
    opened = open_source(path, asked.source, anywhere)
    with opened as source, Progress(title, None, "files") as progress:
        listing = _list_by_table if is_csv(path) else _list_all
        listed, empty, table = listing(source, path, rule, asked, progress)
    inside = {file.path: file for file in listed if file.problem not in files.OUTSIDE}
    pictures = {path for path, file in inside.items() if file.picture} or {*inside}
    known = label_files(table, inside, pictures, rule, asked)
    in_folders = path if Path(path).is_dir() and table is None else None
    unified = unify(known.labels, in_folders)
    corrected = Corrected(unified.labels, frozenset(), 0, 0, [])
    if corrections is not None:
        ids = {path: file.id for path, file in inside.items()}
        corrected = correct_labels(unified.labels, ids, *corrections)
    for name in set(corrected.labels).difference(file.path for file in listed):
        listed.append(_unread(name, files.problem_of_path(name) or reasons.MISSING))
    listed.sort(key=lambda file: natural(file.path))
    cautions = [*known.cautions, *unified.cautions, *corrected.cautions]
    found = LabelledFiles(listed, corrected, cautions)
    paths = [file.path for file in listed]
    if not any(said.label for said in corrected.labels.values()):
        raise refuse_unlabelled(path, paths, asked)
    folders = {path.rpartition("/")[0] for path in inside} - {""}
    found.cautions.extend(find_empty(known.tops, folders.union(empty), pictures))
    used = {file.path for file in listed if found.is_listed(file)}
    found.cautions.extend(find_passed_over(paths, used))
    return found


class _Listing(NamedTuple):
    """The files of a source, its empty folders, and what a table in it says."""

    files: list[ListedFile]
    empty: list[str]
    table: Labelled | None


def _unread(path: str, problem: str, number: int = 0) -> ListedFile:
    """A file whose bytes cannot be had; the number tells apart those that share a path."""
    name = f"{problem}\0{path}\0{number}".encode()
    return ListedFile(path, files.identity(name, unread=True), problem)


def _list_by_table(
    source: Source, path: str, rule: str | int, asked: Asked, progress: Progress
) -> _Listing:
    """The files that a CSV names, which `dataset.path` names."""
    table = read_label_table(source, Path(path).name, path, "", rule, asked)
    listed, _ = _list(source.files(table.labels), progress)
    gone = {file.path for file in listed if file.problem in _GONE}
    if gone:
        good = [file for file in listed if file.path not in gone]
        there = set(source.paths()) - {file.path for file in good} - {Path(path).name}
        table = locate(table.labels, gone, there, path)
        more, _ = _list(source.files(there.intersection(table.labels)), progress)
        listed = [*good, *more]
    return _Listing(listed, [], table)


def _list_all(
    source: Source, path: str, rule: str | int, asked: Asked, progress: Progress
) -> _Listing:
    """All files of a folder or an archive, and the table at its top."""
    listed, empty = _list(source.files(folders=True), progress)
    inside = {file.path: file.problem for file in listed if file.problem not in files.OUTSIDE}
    top = find_csv(inside)
    if top is None:
        return _Listing(listed, empty, None)
    if inside[top]:
        raise UserError(f"{path!r}: {top!r} cannot be read: {inside[top]}")
    where, base = f"{path}: {top}", str(PurePosixPath(top).parent)
    table = read_label_table(source, top, where, base, rule, asked)
    if gone := {path for path in table.labels if path not in inside}:
        there = inside.keys() - table.labels.keys() - {top}
        table = locate(table.labels, gone, there, where)
    return _Listing(listed, empty, table)


def _list(found: Iterable[File], progress: Progress) -> tuple[list[ListedFile], list[str]]:
    """Every file with its id, and the paths of folders."""
    listed: dict[str, list[ListedFile]] = {}
    folders = []
    for file in found:
        path, data, problem = file
        if problem == files.FOLDER:
            folders.append(path)
            continue
        picture = files.is_picture(file)
        one = _unread(path, problem) if data is None else ListedFile(path, files.identity(data), "")
        listed.setdefault(path, []).append(one._replace(picture=picture))
        progress.advance()
    for path, several in listed.items():
        if len(several) > 1:
            listed[path] = [_unread(path, files.NAME_TWICE, n) for n in range(len(several))]
    return list(chain.from_iterable(listed.values())), folders
