"""Where the raw images are: a folder, an archive, or the folder of a CSV, read in place."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias

from graft.common.errors import WHERE_SOURCE, UserError, refuse
from graft.decoder import reasons
from graft.images import files
from graft.images.archives import Archive, NoArchive
from graft.images.files import SOURCE, File
from graft.images.suggestions import suggest_near

# Unlike methods of Path, these answer no for a name that is too long or has a zero byte in it.
_is_folder, _is_file = os.path.isdir, os.path.isfile


class Folder(NamedTuple):
    """A folder of files.

    Attributes:
        root: where it is.
        anywhere: whether the paths of single files may lead out of it. So it is for what a user
            types, and never for a data set, which others may have made.
    """

    root: Path
    anywhere: bool = False

    def files(self, wanted: Collection[str] | None = None, folders: bool = False) -> Iterator[File]:
        """Reads files one by one, in any order.

        Args:
            wanted: the paths of those to read; without it all but hidden ones.
            folders: whether empty folders come too, without `wanted`, as what cannot be read.

        Raises:
            UserError: a folder cannot be listed, or is a link.
        """
        if wanted is None and folders:
            empty = (place for place, below, names in self._walk() if not below and not names)
            yield from (File(files.printable(place), None, files.FOLDER) for place in empty)
        yield from map(self._read, self.paths() if wanted is None else wanted)

    def paths(self) -> Iterator[str]:
        """The paths of all files but hidden ones, without opening any.

        Raises:
            UserError: a folder cannot be listed, or is a link.
        """
        for place, _, names in self._walk():
            yield from (str(PurePosixPath(place, name)) for name in names)

    def _walk(self) -> Iterator[tuple[str, list[str], list[str]]]:
        for place, folders, names in walk_shown(self.root, _stop):
            for name in folders:
                if (place / name).is_symlink():
                    why = "DVC does not watch what is behind a link"
                    allowed = f"a folder: {'no link is followed' if self.anywhere else why}"
                    received = f"a link to {(place / name).readlink()}"
                    raise refuse(files.printable(str(place / name)), allowed, received)
            yield place.relative_to(self.root).as_posix(), folders, names

    def _read(self, path: str) -> File:
        data, problem = None, files.problem_of_path(path)
        if self.anywhere and problem in (files.ABSOLUTE, files.LEADS_OUT):
            problem = ""
        try:
            data = None if problem else reasons.read_whole(self.root / path)
        except reasons.Undecodable as error:
            problem = str(error)
        return File(files.printable(path), data, problem)


Source: TypeAlias = Folder | Archive


def walk_shown(
    top: Path, stop: Callable[[OSError], None]
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The folders below one and itself, but hidden ones, each with the names that are in it.

    Args:
        top: where it begins; links to folders are named, and not followed.
        stop: is called with the error of a folder that cannot be listed.
    """
    for folder, folders, names in os.walk(top, onerror=stop):
        folders[:] = sorted(name for name in folders if not files.is_hidden(name))
        yield Path(folder), folders, sorted(name for name in names if not files.is_hidden(name))


def check_folder(path: str) -> None:
    """Checks that DVC can tell whether what `dataset.path` names has changed, if it is a folder.

    DVC itself would end in a traceback, or wait for a pipe for ever.

    Raises:
        UserError: something in the folder is a link to nothing, no file, or has a name that is not
            UTF-8.
    """
    for folder, folders, names in os.walk(path, onerror=_stop) if _is_folder(path) else ():
        for place in (Path(folder, name) for name in (*folders, *names)):
            problem = files.problem_of_path(place.name)
            if not problem and not _is_folder(place) and not _is_file(place):
                problem = "a link to nothing" if place.is_symlink() else reasons.IRREGULAR
            if problem:
                allowed = "a file, or a link to one, that DVC can read, or not be there"
                raise refuse(files.printable(str(place)), allowed, problem)


def is_csv(path: str) -> bool:
    """Whether `dataset.path` names a CSV, whose paths are those of files beside or below it."""
    return Path(path).suffix.lower() == ".csv" and _is_file(path)


@contextmanager
def open_source(path: str, where: str = WHERE_SOURCE, anywhere: bool = False) -> Iterator[Source]:
    """Opens what `dataset.path` names; of a CSV, its folder.

    Args:
        path: of a folder, an archive or a CSV.
        where: what names it, in messages.
        anywhere: whether a CSV may name any file, as of `Folder`.

    Raises:
        UserError: it is not there, or is nothing of what it may be.
    """
    place = Path(path)
    if _is_folder(path) or is_csv(path):
        yield Folder(place if _is_folder(path) else place.parent, anywhere)
    elif _is_file(path):
        try:
            yield Archive(place)
        except NoArchive as error:  # which is known once it is read
            raise refuse(where, SOURCE, f"{path} ({error})") from None
    else:
        raise refuse(where, f"{SOURCE}{suggest_near(place)}", path)


def count_files(path: str) -> int:
    """How many files there are in what `dataset.path` names, labelled or not; of a CSV, its lines.

    Raises:
        UserError: it is not there, or is nothing of what it may be.
        OSError: it cannot be read.
    """
    if is_csv(path):
        with Path(path).open("rb") as file:
            return sum(1 for _ in file)
    with open_source(path) as source:
        return sum(1 for _ in source.paths())


def weigh_source(path: str, most: int) -> int:
    """The bytes of what `dataset.path` names, as they are stored; of a CSV, of its folder.

    Args:
        path: of a folder, an archive or a CSV.
        most: where there are more, this number is the answer, and no further file is looked at.
    """
    if _is_file(path) and not is_csv(path):
        return min(most, Path(path).stat().st_size)
    total = 0
    for folder, _, names in os.walk(Path(path).parent if is_csv(path) else path):
        for name in names:
            with suppress(OSError):  # the stage says what is wrong with a file
                total += Path(folder, name).stat().st_size
            if total >= most:
                return most
    return total


def _stop(error: OSError) -> None:
    raise UserError(f"{error.filename!r} cannot be listed: {error.strerror}")
