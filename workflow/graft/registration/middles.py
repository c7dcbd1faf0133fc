"""The middle square of a photo, from the pixels that are learned from.

A photo that is turned, mirrored or enlarged keeps its middle. So pictures are compared there, in
the proportions of the photo as it came, whichever way it was made square.
"""

import numpy as np
from PIL import Image

# Fields a side by which pictures are described.
FIELDS = 32


def middle_extents(width: np.ndarray, height: np.ndarray, fit: str) -> np.ndarray:
    """How far the middle square of each photo extends in its stored pixels.

    Args:
        width: of the photos as they came, pixels, (n,).
        height: the same.
        fit: how they were made square: `stretch`, `crop` or `pad`.

    Returns:
        float64 (n, 2), across and down, fractions of the stored side above 0, up to 1.
    """
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    sides = {
        "crop": (shorter, shorter),
        "stretch": (width, height),
        "pad": (longer, longer),
    }[fit]
    return np.stack([shorter / side for side in sides], 1)


def grey_fields(pixels: np.ndarray, extents: np.ndarray) -> np.ndarray:
    """The middle of each picture as fields of grey.

    Args:
        pixels: uint8 (n, side, side, 3).
        extents: float64 (n, 2), as `middle_extents` gives them.

    Returns:
        uint8 (n, FIELDS, FIELDS).
    """
    side = pixels.shape[1]
    grey = np.asarray(Image.fromarray(pixels.reshape(-1, side, 3)).convert("L"))
    grey = grey.reshape(-1, side, side)
    fields = np.empty((len(pixels), FIELDS, FIELDS), np.uint8)
    # Pictures of one shape lie on each other as one, since few calls are faster than many.
    shapes, shape = np.unique(extents, axis=0, return_inverse=True)
    for number, (across, down) in enumerate(shapes):
        mine = shape.ravel() == number
        narrow = _squeeze(grey[mine], across).transpose(0, 2, 1)
        fields[mine] = _squeeze(narrow, down).transpose(0, 2, 1)
    return fields


def _squeeze(grey: np.ndarray, extent: float) -> np.ndarray:
    """The middle of each line as means of FIELDS pieces: uint8 (m, lines, FIELDS).

    Args:
        grey: uint8 (m, lines, side).
        extent: of the middle, a fraction of the side.
    """
    m, lines, side = grey.shape
    if extent == 1 and side == FIELDS:
        return grey
    tall = Image.fromarray(np.ascontiguousarray(grey).reshape(m * lines, side))
    edge = (1 - extent) / 2 * side
    box = (edge, 0, side - edge, m * lines)
    made = tall.resize((FIELDS, m * lines), Image.Resampling.BOX, box)
    return np.asarray(made).reshape(m, lines, FIELDS)


def colour_middle(picture: np.ndarray, extent: np.ndarray, side: int) -> np.ndarray:
    """The middle of a picture, smoothed as it is made smaller: uint8 (side, side, 3).

    Args:
        picture: uint8 (any, any, 3), square.
        extent: float64 (2,), as `middle_extents` gives it.
        side: of the result, pixels.
    """
    image = Image.fromarray(picture)
    across, down = (1 - extent) / 2 * image.width
    box = (across, down, image.width - across, image.width - down)
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box))
