"""Pictures of a data set inside the page: of a size to compare, in base64."""

import base64
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from graft.common.arrays import Joined, RowSource, Stored

_ENLARGED = 96  # about so many pixels wide is a small picture shown, each of its pixels a square
_WIDEST = 128  # pixels; a larger picture is reduced, so that the page stays light
_PLAIN = 40  # pixels; up to here a picture is kept as it is, since every pixel counts


class Thumbnail(NamedTuple):
    """A picture that the page holds.

    Attributes:
        address: a `data:` URL.
        side: pixels across, as shown.
        enlarged: whether each pixel is enlarged to several.
    """

    address: str
    side: int
    enlarged: bool


class Album:
    """The pictures of photos, each made when it is asked for, until there is no more room.

    Args:
        pictures: rows uint8 (side, side, 3), RGB.
        places: the row of each photo by its path. A photo without one has no picture.
        room: characters that all pictures may take together.
    """

    def __init__(self, pictures: RowSource, places: dict[str, int], room: int) -> None:
        self._pictures, self._places, self._room = pictures, places, room

    def __getitem__(self, path: str) -> Thumbnail | None:
        """The picture of a photo; None where there is none, or no room for it."""
        place = self._places.get(path)
        if place is None:
            return None
        thumbnail = make_thumbnail(self._pictures[np.array([place])][0])
        if len(thumbnail.address) > self._room:
            self._room = 0  # a smaller one further down would be no better choice
            return None
        self._room -= len(thumbnail.address)
        return thumbnail


def open_album(
    split: pd.DataFrame,
    checked: pd.DataFrame,
    tensors: Sequence[Path],
    paths: Collection[str],
    room: int,
) -> Album:
    """The pictures of some photos of a data set.

    Args:
        split: str columns id and path; a row a file.
        checked: str columns id and status, in the order of the shards.
        tensors: the arrays of the shards, of the good files in the order of `checked`.
        paths: of the photos.
        room: characters that all pictures may take together.
    """
    good = checked["id"][checked["status"] == "ok"]
    rows = pd.Series(np.arange(len(good)), good)
    own = split[split["path"].isin(paths)].drop_duplicates("path")
    places = rows.reindex(own["id"]).set_axis(own["path"]).dropna().astype(int)
    return Album(Joined([Stored(path) for path in tensors]), places.to_dict(), room)


def make_thumbnail(picture: np.ndarray) -> Thumbnail:
    """A picture for the page: small ones pixel by pixel, larger ones reduced and compressed.

    Args:
        picture: uint8 (side, side, 3), RGB.
    """
    side = len(picture)
    shown = shown_side(side)
    if side <= _PLAIN:
        return Thumbnail(encode_png(picture), shown, shown > side)
    reduced = resize_picture(picture, min(side, shown))
    return Thumbnail(_encode(reduced, "webp", quality=75), shown, False)


def encode_shade(strengths: np.ndarray) -> str:
    """A shade to lay over a picture, dark where a map is weak: a `data:` URL.

    Args:
        strengths: uint8 (height, width).
    """
    shade = np.zeros((*strengths.shape, 2), np.uint8)
    shade[..., 1] = np.round(0.8 * (255.0 - strengths))
    return encode_png(shade)


def shown_side(side: int) -> int:
    """How many pixels across a picture of `side` pixels is shown."""
    return min(side * max(1, round(_ENLARGED / side)), _WIDEST)


def resize_picture(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture with another side: smoothly reduced, or each pixel enlarged to a square.

    Args:
        picture: uint8 (own side, own side, 3), RGB.
        side: pixels; a whole multiple of the own side, or less than it.
    """
    kind = Image.Resampling.NEAREST if side >= len(picture) else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((side, side), kind))


def encode_png(picture: np.ndarray) -> str:
    """A picture as a .png: a `data:` URL.

    Args:
        picture: uint8 (height, width, 3), RGB; or (height, width, 2), grey and how opaque.
    """
    return _encode(picture, "png", optimize=True)


def _encode(picture: np.ndarray, form: str, **options: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form, **options)
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
