"""Pictures of a data set inside the page: of a size to compare, as .png in base64."""

import base64
import io

import numpy as np
from PIL import Image

_ENLARGED = 96  # about so many pixels wide is a small picture shown, each of its pixels a square
_WIDEST = 128  # pixels; a larger picture is reduced, so that the page stays light


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
    """A picture as a .png in base64.

    Args:
        picture: uint8 (height, width, 3), RGB.
    """
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
