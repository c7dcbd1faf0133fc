"""Photos for a command: files and folders of them, read and decoded as the pipeline does."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from graft.common.classes import natural
from graft.common.errors import UserError, refuse
from graft.common.progress import Progress
from graft.decoder import reasons
from graft.images import files
from graft.images.decoding import square_files
from graft.images.files import File
from graft.images.sources import Folder, walk_shown

PHOTO = "an image file that graft can read, or a folder of such files"
# So many of the photos that cannot be read are named, and from so many photos progress is shown.
_NAMED, _MANY = 5, 200


def refuse_photo(path: Path | str, problem: object, allowed: str = PHOTO) -> UserError:
    """The error for something that is given, and is no photo."""
    return refuse("a photo", allowed, f"{files.printable(str(path))} ({problem})")


def find_photos(given: Sequence[str]) -> list[Path]:
    """The photos in the order given; those below a folder in natural order.

    Hidden files and what systems leave in folders are passed over, and links to folders are not
    followed.

    Raises:
        UserError: a folder cannot be listed, or has no file in it.
    """
    found = []
    for path in map(Path, given):
        inside = [path] if _problem_of_folder(path) else _below(path)
        if not inside:
            raise refuse_photo(path, "an empty folder")
        found += inside
    return found


def _problem_of_folder(path: Path) -> str:
    """Why this is no folder; empty if it is one."""
    try:
        return "" if path.is_dir() else reasons.MISSING
    except OSError as error:
        return reasons.unreadable(error)


def _below(top: Path) -> list[Path]:
    def stop(error: OSError) -> None:
        raise refuse_photo(error.filename, reasons.unreadable(error))

    found = (place / name for place, _, names in walk_shown(top, stop) for name in names)
    return sorted(found, key=lambda path: natural(path.as_posix()))


def decode_photos(paths: list[Path], side: int, fit: str) -> Iterator[np.ndarray]:
    """Decodes photos as the pipeline does.

    All are decoded before this returns, so that a bad one is known before the first is used. They
    wait in a file without a name, so that memory stays flat however many there are.

    Returns:
        uint8 (side, side, 3) for each, in their order.

    Raises:
        UserError: some cannot be read; it names them with the reasons.
    """
    bad = []
    waiting = tempfile.TemporaryFile()  # noqa: SIM115
    shown = Progress("photos", len(paths), "photos") if len(paths) >= _MANY else nullcontext()
    with shown as progress:
        for path, result in square_files(read_photos(paths), side, fit):
            if isinstance(result, str):
                bad.append(f"{path} ({result})")
            else:
                waiting.write(result.tobytes())
            if progress:
                progress.advance()
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        received = ", ".join(bad[:_NAMED]) + more
        raise UserError(f"every photo must be {PHOTO}. Received: {received}")
    waiting.seek(0)
    count = 3 * side * side
    return (np.fromfile(waiting, np.uint8, count).reshape(side, side, 3) for _ in paths)


def read_photos(paths: Iterable[Path]) -> Iterator[File]:
    """Reads photos one by one: each by its whole path, with its bytes or why it has none."""
    for path in paths:
        problem = _problem_of_folder(path.parent)
        file = File("", None, problem) if problem else next(Folder(path.parent).files([path.name]))
        yield file._replace(path=files.printable(str(path)))
