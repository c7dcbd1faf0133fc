"""From the bytes of an image file to pixels: the one decoder of checks, training and prediction."""

import io
import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache, partial
from typing import Any, NamedTuple

import imagehash
import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from graft.common.errors import BLANK
from graft.common.parallel import in_parallel
from graft.images import files
from graft.images.files import File, Undecodable
from graft.images.samples import (
    WHITE_BY_FILE,
    describe_samples,
    is_wide,
    narrow,
    problem_of_channels,
    read_tags,
)

# What Pillow may take a file for. It reads more, some of it with programs of their own: none for
# files from anywhere.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "AVIF")
# The brands of videos, as of pictures.
_VIDEOS = (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V ", b"qt  ")
# Grey values by which a picture must differ from itself, or nobody sees anything in it.
_SEEN = 8
# The box of a HEIC that has the sides of a picture as it is coded, and those.
_CODED_SIZE = re.compile(rb"ispe\0{4}(.{8})", re.DOTALL)
# Pixels above which Pillow refuses a picture in any format.
_MOST_PIXELS = 178_956_970
# Pixels of the shortest side that shows something: smaller ones are icons and web counters.
_SHORTEST = 8
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_TRUNCATED, _BOMB = "truncated", "decompression bomb"


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
    """Decodes the whole image and makes it a square.

    Of an animation the first frame is taken; grey becomes RGB, grey of more than 8 bits is scaled
    to 8 by the value that is white, and transparent pixels show the background. A large JPEG is
    decoded at a half, a quarter or an eighth of its sides where that leaves twice the target.

    Args:
        data: the bytes of an image file in one of `_FORMATS`, whatever its name says.
        side: the side of the result in pixels.
        fit: `stretch` both sides to the target, `crop` the square in the middle, or `pad` the
            shorter side with the background.
        background: `white`, `black`, `grey` or `#rrggbb`.
        white_level: as of `narrow`.

    Raises:
        Undecodable: with the reason.
    """
    if not data:
        raise Undecodable("zero bytes")
    with warnings.catch_warnings():
        # What Pillow only warns of, such as odd EXIF data, does not harm the picture.
        warnings.simplefilter("ignore")
        try:
            return _decode(data, side, fit, background, white_level)
        except Undecodable:
            raise
        except UnidentifiedImageError:
            raise Undecodable(_unknown(data)) from None
        except Image.DecompressionBombError:
            raise Undecodable(_BOMB) from None
        except Exception as error:
            # Broken files make Pillow raise almost anything, struct.error and TypeError among it,
            # and one of them must not stop a run over thousands.
            text = str(error).lower()
            if "security limit" in text:  # a HEIC with more pixels than it says
                raise Undecodable(_BOMB) from None
            cut = "truncated" in text or _is_cut(data)
            raise Undecodable(_TRUNCATED if cut else files.unreadable(error)) from None


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
        side, fit, background, white_level: as of `decode`.

    Yields:
        The path of each file, and its image or the reason why it has none.
    """
    options = {"fit": fit, "background": background, "white_level": white_level}
    work = partial(_decode_file, side=side, **options)
    return in_parallel(work, found, lambda file: len(file.data or b"") + 3 * side * side)


def _decode_file(file: File, **options: Any) -> tuple[str, Decoded | str]:
    """Other processes run this."""
    if file.data is None:
        return file.path, file.problem
    try:
        return file.path, decode(file.data, **options)
    except Undecodable as error:
        return file.path, str(error)


def _decode(data: bytes, side: int, fit: str, background: str, white_level: int | str) -> Decoded:
    formats = _FORMATS
    if _is_of(data, files.HEIF):
        formats += (_register_heif(),)
        _check_coded_sizes(data)
    with Image.open(io.BytesIO(data), formats=formats) as file:
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
        orientation = None
        with suppress(Exception):  # broken EXIF data says nothing, and the pixels are there
            orientation = file.getexif().get(ExifTags.Base.Orientation)
    image.info = {}  # none of the file's own EXIF data, which may be broken
    image.getexif()[ExifTags.Base.Orientation] = orientation
    image = ImageOps.exif_transpose(image)
    if orientation in (5, 6, 7, 8):  # the quarter turns
        width, height = height, width
    pixels = np.asarray(_square(image, side, fit, background), np.uint8)
    phash = str(imagehash.phash(image))
    return Decoded(pixels, width, height, phash, files.identity(np.ascontiguousarray(pixels).data))


@cache
def _register_heif() -> str:
    """Lets Pillow read HEIC and HEIF, by a plugin that is imported where there is such a file.

    It turns a picture as the file says, and then calls it upright. A picture of 10 bits becomes one
    of 8. Small pictures beside the first one may show something else, and are not used.

    Returns:
        Pillow's name of the format.
    """
    from pillow_heif import HeifImageFile, register_heif_opener

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


def _is_of(data: bytes, brands: tuple[bytes, ...]) -> bool:
    """Whether a file begins with a box that says one of these brands."""
    return data[4:8] == b"ftyp" and data.startswith(brands, 8)


def _rgb(
    image: Image.Image, form: str | None, background: str, white_level: int | str
) -> Image.Image:
    if is_wide(image):
        image = narrow(image, form, white_level)
    if image.mode not in _MODES:
        raise Undecodable(f"unsupported mode {image.mode}")
    return _lay(image, background) if image.has_transparency_data else image.convert("RGB")


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


def _unknown(data: bytes) -> str:
    """Why Pillow takes the bytes for no image."""
    try:
        # It knows no other way to say that it has no mode for the pixels of a TIFF.
        TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except Exception as error:
        with suppress(Exception):  # tags may be anything
            tags = read_tags(data)
            if problem := problem_of_channels(tags):
                return problem
            if "pixel mode" in str(error):
                return f"unsupported mode: {describe_samples(tags)}"
    if _is_cut(data):
        return _TRUNCATED
    if _is_of(data, _VIDEOS):
        return "not an image: a video"
    if data.startswith(b"%PDF-"):
        return "not an image: a PDF"
    known = data.startswith(files.STARTS) or _is_of(data, files.HEIF)
    return "damaged header" if known else "not an image"


def _is_cut(data: bytes) -> bool:
    """Whether a file ends before the place where its own header says that there is more."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        order = "little" if data[:2] == b"II" else "big"
        start = int.from_bytes(data[4:8], order)  # of the table of places
        count = int.from_bytes(data[start : start + 2], order)
        return start + 2 + 12 * count > len(data)
    if _is_of(data, files.HEIF + files.AVIF):
        end, length = 0, 8
        while end < len(data) and length >= 8:  # less means a last box without a length
            length = int.from_bytes(data[end : end + 4], "big")
            end += length
        return end > len(data)
    return False
