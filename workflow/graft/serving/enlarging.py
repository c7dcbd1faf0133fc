"""Pictures for a browser: small ones from the arrays of the build, large ones from their files."""

import io
import threading
from typing import NamedTuple

import numpy as np
from PIL import Image

from graft.common.errors import UserError
from graft.decoder.reasons import Undecodable
from graft.images.archives import NoArchive
from graft.images.decoding import decode
from graft.images.files import identity
from graft.images.sources import open_source
from graft.serving.collection import Collection, Gone, Picture

_SMALL, _LARGE = 160, 1280  # pixels of the longer side
# A photo of 100 million pixels takes 300 MB while it is decoded.
_DECODING = threading.BoundedSemaphore(2)
_PLAIN = 64  # pixels; up to here each is kept as it is, since every one counts


class Encoded(NamedTuple):
    """An image file.

    Attributes:
        data: its bytes.
        kind: such as `image/png`.
    """

    data: bytes
    kind: str


def make_small(collection: Collection, picture: Picture) -> Encoded:
    """A picture of at most _SMALL pixels a side: as the network sees it, where that is made.

    Raises:
        Gone: a build has changed what is read, or the file is not the same any more.
        UserError: it cannot be read.
    """
    pixels = collection.read_pixels(picture)
    return encode_picture(_read(collection, picture, _SMALL) if pixels is None else pixels, _SMALL)


def make_large(collection: Collection, picture: Picture) -> Encoded:
    """The whole picture, in its own proportions, of at most _LARGE pixels a side.

    Raises:
        Gone, UserError: as `make_small`.
    """
    return encode_picture(_read(collection, picture, _LARGE), _LARGE)


def encode_picture(pixels: np.ndarray, side: int) -> Encoded:
    """Pixels as a file: a .png where each of them counts, else a .jpg.

    Args:
        pixels: uint8 (height, width, 3), RGB.
        side: pixels of the longer side at most; a larger picture is reduced.
    """
    image, file = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    if max(image.size) <= _PLAIN:
        image.save(file, "png")
        return Encoded(file.getvalue(), "image/png")
    image.save(file, "jpeg", quality=88)
    return Encoded(file.getvalue(), "image/jpeg")


def _read(collection: Collection, picture: Picture, side: int) -> np.ndarray:
    """A picture from its file: uint8 (height, width, 3), the longer side at most `side`."""
    if picture.problem:
        raise UserError(f"{picture.paths[0]!r} cannot be read: {picture.problem}")
    data = _read_bytes(collection, picture)
    look = {"background": collection.background, "white_level": collection.white_level}
    try:
        with _DECODING:
            found = decode(data, side, "pad", **look)
            if (own := max(found.width, found.height)) < side:
                found = decode(data, side := own, "pad", **look)
    except Undecodable as error:
        raise UserError(f"{picture.paths[0]!r} cannot be read: {error}") from None
    # What was added to make it a square goes again.
    scale = side / max(found.width, found.height)
    height, width = (max(1, round(scale * n)) for n in (found.height, found.width))
    top, left = (side - height) // 2, (side - width) // 2
    return found.pixels[top : top + height, left : left + width]


def _read_bytes(collection: Collection, picture: Picture) -> bytes:
    try:
        with open_source(collection.source) as source:
            for file in source.files({*picture.paths}):
                # Another file of this name is another picture.
                if file.data is not None and identity(file.data) == picture.id:
                    return file.data
    except NoArchive as error:
        raise UserError(f"{collection.source!r} cannot be read: {error}") from None
    raise Gone(picture.paths[0])
