"""From the bytes of an image file to pixels: the one decoder, of training, answers and exports."""

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from .beginnings import HEIF
from .kinds import TRUNCATED, is_cut, is_of_brand, say_unknown
from .reasons import BLANK, Undecodable, unreadable
from .samples import WHITE_BY_FILE, is_wide, narrow, problem_of_channels

# Pixels of the shortest side that shows something: smaller ones are icons and web counters.
_SHORTEST = 8
# What Pillow may take a file for. It reads more, some of it with programs of their own: none for
# files from anywhere.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "AVIF")
# Grey values by which a picture must differ from itself, or nobody sees anything in it.
_SEEN = 8
# The box of a HEIC that has the sides of a picture as it is coded, and those.
_CODED_SIZE = re.compile(rb"ispe\0{4}(.{8})", re.DOTALL)
# Pixels above which Pillow refuses a picture in any format.
_MOST_PIXELS = 178_956_970
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_BOMB = "decompression bomb"
# By the orientation in EXIF data: what makes a picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = [_UPRIGHT[orientation] for orientation in (5, 6, 7, 8)]


class UprightPicture(NamedTuple):
    """What one image file shows.

    Attributes:
        image: RGB and upright; of a large JPEG at a fraction of its sides.
        pixels: the square of it, uint8 (side, side, 3), RGB, 0–255.
        width: pixels across, as shown (after EXIF orientation).
        height: pixels down.
    """

    image: Image.Image
    pixels: np.ndarray
    width: int
    height: int


def decode_picture(
    data: bytes,
    side: int,
    fit: str = "stretch",
    background: str = "white",
    white_level: int | str = WHITE_BY_FILE,
) -> UprightPicture:
    """Decodes the whole image and makes it a square.

    Of an animation the first frame is taken; grey becomes RGB, grey of more than 8 bits is scaled
    to 8 by the value that is white, and transparent pixels show the background. A large JPEG is
    decoded at a half, a quarter or an eighth of its sides where that leaves twice the target.

    Args:
        data: the bytes of an image file in one of `_FORMATS` or HEIC, whatever its name says.
        side: the side of the result in pixels.
        fit: `stretch` both sides to the target, `crop` the square in the middle, or `pad` the
            shorter side with the background.
        background: `white`, `black`, `grey` or `#rrggbb`.
        white_level: as of `narrow`.

    Raises:
        Undecodable: with the reason.
    """
    with _refusing(data):
        return _decode(data, side, fit, background, white_level)


def say_kind(data: bytes) -> str:
    """What an image file is: its format and mode as Pillow opens it, such as `PNG I;16`.

    Raises:
        Undecodable: it is none of those that are read, by its header.
    """
    with _refusing(data), _open(data) as file:
        return f"{file.format} {file.mode}"


@contextmanager
def _refusing(data: bytes) -> Iterator[None]:
    """Makes of all that Pillow raises for a file the reason why it has no picture."""
    if not data:
        raise Undecodable("zero bytes")
    with warnings.catch_warnings():
        # What Pillow only warns of, such as odd EXIF data, does not harm the picture.
        warnings.simplefilter("ignore")
        try:
            yield
        except Undecodable:
            raise
        except UnidentifiedImageError:
            raise Undecodable(say_unknown(data)) from None
        except Image.DecompressionBombError:
            raise Undecodable(_BOMB) from None
        except Exception as error:
            # Broken files make Pillow raise almost anything, struct.error and TypeError among it,
            # and one of them must not stop a run over thousands.
            text = str(error).lower()
            if "security limit" in text:  # a HEIC with more pixels than it says
                raise Undecodable(_BOMB) from None
            cut = "truncated" in text or is_cut(data)
            raise Undecodable(TRUNCATED if cut else unreadable(error)) from None


def _open(data: bytes) -> Image.Image:
    formats = _FORMATS
    if is_of_brand(data, HEIF):
        formats += (_register_heif(),)
        _check_coded_sizes(data)
    return Image.open(io.BytesIO(data), formats=formats)


def _decode(
    data: bytes, side: int, fit: str, background: str, white_level: int | str
) -> UprightPicture:
    with _open(data) as file:
        width, height = file.size
        if problem := problem_of_channels(getattr(file, "tag_v2", {})):
            raise Undecodable(problem)
        if min(width, height) < _SHORTEST:
            raise Undecodable("too small")
        # Of the frames only those of a GIF may leave some of the canvas to the background.
        covered = file.tile[0].extents if file.format == "GIF" else (0, 0, width, height)
        file.draft("RGB", (2 * side, 2 * side))
        file.load()
        image = _rgb(file, file.format, background, white_level)
        if covered != (0, 0, width, height):
            paper = Image.new("RGB", image.size, background)
            paper.paste(image.crop(covered), covered[:2])
            image = paper
        turn = None
        with suppress(Exception):  # broken EXIF data says nothing, and the pixels are there
            turn = _UPRIGHT.get(file.getexif().get(ExifTags.Base.Orientation))
    if turn is not None:
        image = image.transpose(turn)
        if turn in _QUARTER_TURNS:
            width, height = height, width
    pixels = np.asarray(_square(image, side, fit, background), np.uint8)
    return UprightPicture(image, pixels, width, height)


@cache
def _register_heif() -> str:
    """Lets Pillow read HEIC and HEIF, by a plugin that is imported where there is such a file.

    It turns a picture as the file says, and then calls it upright. A picture of 10 bits becomes one
    of 8. Small pictures beside the first one may show something else, and are not used.

    Returns:
        Pillow's name of the format.

    Raises:
        Undecodable: the plugin is not installed.
    """
    try:
        from pillow_heif import HeifImageFile, register_heif_opener
    except ImportError:
        raise Undecodable("HEIC, which needs `pip install pillow-heif`") from None
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    return HeifImageFile.format


def _check_coded_sizes(data: bytes) -> None:
    """Holds the pictures in a HEIC to the bound of all formats.

    Pillow sees the size of what is shown, which may be cut out of far more. The library decodes no
    more than these boxes say.
    """
    for sides in _CODED_SIZE.findall(data):
        width, height = struct.unpack(">II", sides)
        if width * height > _MOST_PIXELS:
            raise Image.DecompressionBombError


def _rgb(
    image: Image.Image, form: str | None, background: str, white_level: int | str
) -> Image.Image:
    if is_wide(image):
        image = narrow(image, form, white_level)
    if image.mode not in _MODES:
        raise Undecodable(f"unsupported mode {image.mode}")
    if image.has_transparency_data:
        return _lay(image, background)
    # Pillow would copy what is RGB already: a quarter of the time of a photo.
    return image if image.mode == "RGB" and form == "JPEG" else image.convert("RGB")


def _lay(image: Image.Image, background: str) -> Image.Image:
    """Lays a picture with transparent pixels on the background.

    Raises:
        Undecodable: nothing is seen there of what could be seen elsewhere.
    """
    rgba = image.convert("RGBA")
    paper = Image.new("RGBA", rgba.size, background)
    shown = Image.alpha_composite(paper, rgba).convert("RGB")
    if _is_even(shown) and not _is_even(rgba.getchannel("A")):
        raise Undecodable(BLANK + background)
    return shown


def _is_even(image: Image.Image) -> bool:
    """Whether a picture is of one colour, as far as people see."""
    extremes = (band.getextrema() for band in image.split())
    return all(highest - lowest < _SEEN for lowest, highest in extremes)


def _square(image: Image.Image, side: int, fit: str, background: str) -> Image.Image:
    if fit == "pad":
        return ImageOps.pad(image, (side, side), Image.Resampling.BICUBIC, color=background)
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    box = (left, top, left + edge, top + edge) if fit == "crop" else None
    return image.resize((side, side), Image.Resampling.BICUBIC, box, reducing_gap=3.0)
