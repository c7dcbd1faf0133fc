"""What `graft predict` is given: photos, folders, archives and lists of them."""

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from graft.common.errors import UserError, refuse
from graft.decoder import reasons
from graft.images import files
from graft.images.archives import Archive, NoArchive, is_archive
from graft.images.files import File
from graft.images.sources import Folder, is_csv
from graft.images.suggestions import suggest_near
from graft.labelling.table import LABELS_CSV, paths_by_csv
from graft.prediction.photos import find_photos, read_photos, refuse_photo

# What stands for the paths in standard input.
STANDARD_INPUT = "-"
# Unlike methods of Path, these answer no for a name that is too long.
_is_folder, _is_file, _is_there = os.path.isdir, os.path.isfile, os.path.lexists
_ALLOWED = (
    "an image file, a folder or an archive of such files, a CSV with the column path, or"
    f" {STANDARD_INPUT} for paths in standard input"
)


class GivenPhotos(NamedTuple):
    """The photos of a command.

    Attributes:
        count: how many there are; None where an archive would have to be read to know.
        files: each by a path that says where it is, with its bytes or why it has none; read as they
            are taken.
    """

    count: int | None
    files: Iterator[File]


def open_given(given: Sequence[str]) -> GivenPhotos:
    """Finds all that a command is given, before any photo is read.

    The files of a folder come in natural order, those of an archive, a CSV or standard input in
    theirs. The path of a photo inside begins with that of the folder, of the archive, or of the
    folder of the CSV, unless the CSV has a whole path.

    Raises:
        UserError: something is not there or of no known kind, or there is no photo in it. One in an
            archive is raised once its turn comes.
    """
    sources = [_open(one) for one in given]
    if given.count(STANDARD_INPUT) > 1:
        raise refuse("standard input", "given once", f"{STANDARD_INPUT} more than once")
    counts = [source.count for source in sources]
    count = None if None in counts else sum(counts)
    return GivenPhotos(count, chain.from_iterable(source.files for source in sources))


def _open(one: str) -> GivenPhotos:
    paths = [Path(one)]
    if one == STANDARD_INPUT:
        paths = _read_standard_input()
    elif _is_folder(one):
        # The table that says which image is of which class is no photo.
        paths = [path for path in find_photos([one]) if path != Path(one, LABELS_CSV)]
    elif is_csv(one):
        return _open_csv(Path(one))
    elif not _is_file(one):
        problem = reasons.IRREGULAR if _is_there(one) else reasons.MISSING
        near = suggest_near(Path(one)) if problem == reasons.MISSING else ""
        raise refuse_photo(one, problem, f"{_ALLOWED}{near}")
    elif is_archive(one):
        return GivenPhotos(None, _read_archive(Path(one)))
    return GivenPhotos(len(paths), read_photos(paths))


def _read_standard_input() -> list[Path]:
    """Paths, one a line; or each with a zero byte behind it, as by `find -print0`."""
    data = sys.stdin.buffer.read()
    separator = b"\0" if b"\0" in data else b"\n"
    paths = [Path(os.fsdecode(path)) for path in data.split(separator) if path]
    if not paths:
        raise refuse("standard input", "paths of photos, one a line", "nothing")
    return paths


def _open_csv(path: Path) -> GivenPhotos:
    folder, shown = Folder(path.parent, anywhere=True), files.printable(str(path))
    table = next(folder.files([path.name]))
    if table.data is None:
        raise UserError(f"{shown!r} cannot be read: {table.problem}")
    names = paths_by_csv(table.data, shown)
    if not names:
        raise refuse(shown, "a CSV with a line for each photo", "none")
    return GivenPhotos(len(names), (_below(path.parent, file) for file in folder.files(names)))


def _read_archive(path: Path) -> Iterator[File]:
    count = 0
    try:
        for file in Archive(path).files():
            count += 1
            yield _below(path, file)
    except NoArchive as error:
        raise refuse_photo(path, error, _ALLOWED) from None
    if not count:
        raise refuse_photo(path, "an empty archive", _ALLOWED)


def _below(folder: Path, file: File) -> File:
    """A file with the path of what it was found in before its own."""
    return file._replace(path=files.printable(str(folder / file.path)))
