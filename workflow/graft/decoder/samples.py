"""What the samples of a file are, where they are no 8 bits of grey or colour.

Grey of more than 8 bits needs a value that is white. The darkest and the brightest value of a
picture never say it: a dark picture would look like a bright one. White is what the file declares,
what the parameter `image.white_level` says, or the highest value that the format has, and so it is
the same for all pictures of a kind.
"""

import io
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from .reasons import Undecodable

# The value of `image.white_level` by which the file says it.
WHITE_BY_FILE = "auto"
# Pillow's mode of whole numbers in 32 bits; in these formats it means 16 bits without a sign.
_WHOLE, _SIXTEEN_AS_WHOLE = "I", ("PNG", "PPM")
# The formats in which whole numbers may have fewer bits than their place. Those of others are
# spread over all 16 bits by what the file declares: the maximum of a PGM, the depth of a HEIC.
_LOOSE = ("PNG", "TIFF")
# TIFF: the highest value that may occur, in the type of the values. It is not MaxSampleValue (281),
# which TIFF 6.0 keeps for statistics: it must not change how a picture looks.
_HIGHEST = 341
# TIFF: in the description that microscopes write (OME), how many bits are in use.
_DESCRIPTION, _BITS_IN_USE = 270, re.compile(r'<Pixels\b[^>]*\bSignificantBits="(\d{1,2})"')
# Fractions are from 0 to 1, as DNG 1.4 has them (WhiteLevel). Some go beyond, by sharpening or
# light; what goes further is another measure.
_LOWEST_FRACTION, _HIGHEST_FRACTION = -1, 2
_UNKNOWN = "unknown range: image.white_level can say which value is white"
_TOO_MANY = "channels: only grey, RGB, RGBA and CMYK are read"
_GREY = (0, 1)  # values of the tag that says what the channels of a TIFF are
_KINDS = {2: ", with a sign", 3: ", floating point", 5: ", complex", 6: ", complex"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_wide(image: Image.Image) -> bool:
    """Whether Pillow has opened a file as grey of more than 8 bits, or as floating point."""
    return image.mode == "F" or image.mode.startswith(_WHOLE)


def narrow(image: Image.Image, form: str | None, white_level: int | str) -> Image.Image:
    """A wide grey picture in 8 bits: mode L, or LA where the file calls one value transparent.

    Args:
        image: as Pillow opened it.
        form: its format, as Pillow calls it.
        white_level: the value that becomes 255, or `auto`.

    Raises:
        Undecodable: nothing says which value is white, or some are no numbers.
    """
    tags, values = getattr(image, "tag_v2", {}), np.asarray(image)
    floating = values.dtype.kind == "f"
    if floating and not np.isfinite(values).all():
        raise Undecodable("values that are no numbers")
    given = isinstance(white_level, int) and (floating or form in _LOOSE)
    white = white_level if given else _find_declared(tags)
    if not white and floating:
        fractions = values.min() >= _LOWEST_FRACTION and values.max() <= _HIGHEST_FRACTION
        white = 1 if fractions else None
    elif not white and (image.mode != _WHOLE or form in _SIXTEEN_AS_WHOLE):
        white = 2 ** _count_bits(tags, 16) - 1
    if not white:
        raise Undecodable(_UNKNOWN)
    if floating:
        shown = np.clip(values, 0, white)
    else:
        highest = min(white, np.iinfo(values.dtype).max)
        shown = np.clip(values, 0, highest).astype(np.uint32 if white < 2**24 else np.uint64)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        shown = white - shown
    grey = np.rint(shown * (255 / white)) if floating else shown * 255 // white
    made = Image.fromarray(grey.astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        made.putalpha(Image.fromarray(values != clear))
    return made


def _find_declared(tags: Mapping[int, Any]) -> int | None:
    """The value that a TIFF calls its highest, where it is one of whole bits, such as 4095.

    Others are the highest of this very picture, which some programs write there.
    """
    highest = tags.get(_HIGHEST)
    highest = max(highest) if isinstance(highest, tuple) and highest else highest
    if in_use := _BITS_IN_USE.search(str(tags.get(_DESCRIPTION, ""))):
        highest = 2 ** int(in_use[1]) - 1
    if not isinstance(highest, int | float) or not 0 < highest < 2 ** _count_bits(tags, 16):
        return None
    whole = int(highest)
    return whole if whole == highest and whole & (whole + 1) == 0 else None


def _count_bits(tags: Mapping[int, Any], usual: int) -> int:
    return tags.get(TiffImagePlugin.BITSPERSAMPLE, (usual,))[0]


def problem_of_channels(tags: Mapping[int, Any]) -> str:
    """Why a TIFF has other channels than one can look at; empty if it has not.

    Of some files with more than four Pillow shows the first one or three, as if these were all.

    Args:
        tags: of the picture, by number.
    """
    count = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
    grey = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) in _GREY
    return f"{count} {_TOO_MANY}" if count > 4 or (grey and count > 2) else ""


def read_tags(data: bytes) -> Mapping[int, Any]:
    """The tags of a TIFF that Pillow could not open; none of another file, or of a broken table."""
    if not data.startswith(_TIFF):
        return {}
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if 43 in data[2:4] else 8])
    file = io.BytesIO(data)
    with suppress(Exception):  # of which Pillow raises almost any
        file.seek(tags.next)
        tags.load(file)
    return tags


def describe_samples(tags: Mapping[int, Any]) -> str:
    """What Pillow has no mode for: such as "1 channel of 64 bits, floating point"."""
    count, bits = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1), _count_bits(tags, 1)
    kind = _KINDS.get(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0], "")
    return f"{count} channel{'' if count == 1 else 's'} of {bits} bits{kind}"
