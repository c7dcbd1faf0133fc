"""The photos that a command is given: files and folders of them, decoded before anything else."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from graft.common.classes import natural
from graft.common.errors import UserError, refuse
from graft.common.parallel import in_parallel
from graft.common.progress import Progress
from graft.images import files
from graft.images.decoding import Undecodable, decode
from graft.images.files import File
from graft.images.sources import open_source

_ALLOWED = "an image file that graft can read, or a folder of such files"
# So many of the photos that cannot be read are named, and from so many photos progress is shown.
_NAMED, _MANY = 5, 200


def find_photos(given: list[str]) -> list[Path]:
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
            raise refuse("a photo", _ALLOWED, f"{files.printable(str(path))} (an empty folder)")
        found += inside
    return found


def _problem_of_folder(path: Path) -> str:
    """Why this is no folder; empty if it is one."""
    try:
        return "" if path.is_dir() else files.MISSING
    except OSError as error:
        return files.unreadable(error)


def _below(top: Path) -> list[Path]:
    def stop(error: OSError) -> None:
        place = files.printable(str(error.filename))
        raise refuse("a photo", _ALLOWED, f"{place} ({files.unreadable(error)})")

    found = []
    for folder, folders, names in os.walk(top, onerror=stop):
        folders[:] = [name for name in folders if not files.is_hidden(name)]
        found += [Path(folder, name) for name in names if not files.is_hidden(name)]
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
    work = partial(_pixels, side=side, fit=fit)
    results = in_parallel(work, _read(paths), lambda file: len(file.data or b"") + 3 * side * side)
    shown = Progress("photos", len(paths), "photos") if len(paths) >= _MANY else nullcontext()
    with shown as progress:
        for path, result in zip(paths, results, strict=True):
            if isinstance(result, str):
                bad.append(f"{files.printable(str(path))} ({result})")
            else:
                waiting.write(result.tobytes())
            if progress:
                progress.advance()
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        received = ", ".join(bad[:_NAMED]) + more
        raise UserError(f"every photo must be {_ALLOWED}. Received: {received}")
    waiting.seek(0)
    return _one_by_one(waiting, side)


def _one_by_one(waiting: BinaryIO, side: int) -> Iterator[np.ndarray]:
    with waiting:
        while data := waiting.read(3 * side * side):
            yield np.frombuffer(data, np.uint8).reshape(side, side, 3)


def _read(paths: list[Path]) -> Iterator[File]:
    for path in paths:
        if problem := _problem_of_folder(path.parent):
            yield File(str(path), None, problem)
        else:
            with open_source(str(path.parent)) as folder:
                yield from folder.files([path.name])


def _pixels(file: File, side: int, fit: str) -> np.ndarray | str:
    """The pixels of a photo, or why there are none; other processes run this."""
    if file.data is None:
        return file.problem
    try:
        return decode(file.data, side, fit).pixels
    except Undecodable as error:
        return str(error)
