"""Where the raw images are: a folder, an archive, or the folder of a CSV, read in place."""

import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from graft.common.errors import UserError, refuse
from graft.images import archives, files
from graft.images.files import SOURCE, File

WHERE_SOURCE = "params.yaml: dataset.path"


class Source(Protocol):
    """A set of files."""

    def files(self, wanted: Collection[str] | None = None) -> Iterator[File]:
        """Reads files one by one, in any order.

        Args:
            wanted: the paths of those to read; without it all but hidden ones.

        Raises:
            UserError: the source as a whole cannot be read.
        """
        ...


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self, wanted: Collection[str] | None = None) -> Iterator[File]:
        for path in self._walk() if wanted is None else wanted:
            yield self._read(path)

    def _walk(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self._root, onerror=_stop):
            place = Path(folder)
            folders[:] = sorted(name for name in folders if not files.is_hidden(name))
            for name in folders:
                if (place / name).is_symlink():
                    allowed = "a folder: DVC does not watch what lies behind a link"
                    received = f"a link to {(place / name).readlink()}"
                    raise refuse(files.printable(str(place / name)), allowed, received)
            for name in sorted(names):
                if not files.is_hidden(name):
                    yield (place / name).relative_to(self._root).as_posix()

    def _read(self, path: str) -> File:
        shown = files.printable(path)
        if problem := files.problem_of_path(path):
            return File(shown, None, problem)
        place = self._root / path
        try:
            status = place.stat()
            if problem := files.problem_of_kind(status.st_mode):
                return File(shown, None, problem)
            if status.st_size > files.LARGEST_FILE:
                return File(shown, None, files.TOO_LARGE)
            return File(shown, place.read_bytes())
        except FileNotFoundError:
            return File(shown, None, files.MISSING)
        except (OSError, ValueError) as error:
            return File(shown, None, files.unreadable(error))


def check_folder(path: str) -> None:
    """Checks that DVC can tell whether what `dataset.path` names has changed, if it is a folder.

    DVC itself would end in a traceback, or wait for a pipe for ever.

    Raises:
        UserError: something in the folder is a link to nothing, no file, or has a name that is not
            UTF-8.
    """
    waiting = [path] if _is(Path(path), stat.S_ISDIR) else []
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    problem = files.problem_of_path(entry.name)
                    if not problem and not entry.is_dir() and not entry.is_file():
                        problem = "a link to nothing" if entry.is_symlink() else files.IRREGULAR
                    if problem:
                        raise refuse(
                            files.printable(entry.path),
                            "a file, or a link to one, that DVC can read, or not lie there",
                            problem,
                        )
        except OSError as error:
            _stop(error)


def is_csv(path: str) -> bool:
    """Whether `dataset.path` names a CSV, whose paths are those of files beside or below it."""
    return Path(path).suffix.lower() == ".csv" and _is(Path(path), stat.S_ISREG)


def _is(place: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(place.stat().st_mode)
    except (OSError, ValueError):  # a name that is too long is no file's, nor one with a zero byte
        return False


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Opens what `dataset.path` names; of a CSV, its folder.

    Raises:
        UserError: it is not there, or is nothing of what it may be.
    """
    place = Path(path)
    if _is(place, stat.S_ISDIR):
        yield _Folder(place)
    elif is_csv(path):
        yield _Folder(place.parent)
    elif _is(place, stat.S_ISREG):
        try:
            archive = archives.open_archive(place)
        except archives.NoArchive as error:
            raise refuse(WHERE_SOURCE, SOURCE, f"{path} ({error})") from None
        with archive as opened:
            yield opened
    else:
        raise refuse(WHERE_SOURCE, SOURCE, path)


def _stop(error: OSError) -> None:
    raise UserError(f"{error.filename!r} cannot be listed: {error.strerror}")
