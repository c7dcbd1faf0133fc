"""Pictures of a data set, by the one decoder: with what tells them apart, and on all cores."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from graft.common.parallel import in_parallel
from graft.decoder.picture import decode_picture
from graft.decoder.reasons import Undecodable
from graft.decoder.samples import WHITE_BY_FILE
from graft.images.files import File, identity

_Made = TypeVar("_Made")


class Decoded(NamedTuple):
    """One image.

    Attributes:
        pixels: uint8 (side, side, 3), RGB, 0–255.
        width: pixels across, as shown (after EXIF orientation).
        height: pixels down.
        phash: 64-bit perceptual hash of the whole picture, 16 hexadecimal digits.
        digest: 32 hexadecimal digits of BLAKE2b over the pixels.
    """

    pixels: np.ndarray
    width: int
    height: int
    phash: str
    digest: str


def decode(
    data: bytes,
    side: int,
    fit: str = "stretch",
    background: str = "white",
    white_level: int | str = WHITE_BY_FILE,
) -> Decoded:
    """Decodes the whole image, makes it a square, and hashes both.

    Args:
        data, side, fit, background, white_level: as of `decode_picture`.

    Raises:
        Undecodable: with the reason.
    """
    import imagehash  # with a part of SciPy, for which photos of a user need not wait

    picture = decode_picture(data, side, fit, background, white_level)
    phash = str(imagehash.phash(picture.image))
    digest = identity(np.ascontiguousarray(picture.pixels).data)
    return Decoded(picture.pixels, picture.width, picture.height, phash, digest)


def decode_files(
    found: Iterable[File],
    side: int,
    fit: str,
    background: str = "white",
    white_level: int | str = WHITE_BY_FILE,
) -> Iterator[tuple[str, Decoded | str]]:
    """Decodes files on all cores, in their order; few of them are in memory at a time.

    Args:
        found: the files, taken as they are needed.
        side, fit, background, white_level: as of `decode_picture`.

    Yields:
        The path of each file, and its image or the reason why it has none.
    """
    return _work_on(found, decode, side, fit, background, white_level)


def square_files(
    found: Iterable[File], side: int, *look: Any
) -> Iterator[tuple[str, np.ndarray | str]]:
    """The same without hashes, which take about as long as the rest where photos are small.

    Args:
        found, side: as of `decode_files`.
        look: what it takes besides, from `fit` on.

    Yields:
        The path of each file, and its pixels, uint8 (side, side, 3), or the reason why it has none.
    """
    return _work_on(found, _square, side, *look)


def _square(data: bytes, *look: Any) -> np.ndarray:
    return decode_picture(data, *look).pixels


def _work_on(
    found: Iterable[File], make: Callable[..., _Made], side: int, *look: Any
) -> Iterator[tuple[str, _Made | str]]:
    work = partial(_read_file, make=make, look=(side, *look))
    return in_parallel(work, found, lambda file: len(file.data or b"") + 3 * side * side)


def _read_file(
    file: File, make: Callable[..., _Made], look: tuple[Any, ...]
) -> tuple[str, _Made | str]:
    """Other processes run this."""
    if file.data is None:
        return file.path, file.problem
    try:
        return file.path, make(file.data, *look)
    except Undecodable as error:
        return file.path, str(error)
