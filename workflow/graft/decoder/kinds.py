"""What a file is by its first bytes, and what is wrong with one that Pillow takes for no image."""

import io
from contextlib import suppress

from PIL import TiffImagePlugin

from .beginnings import AVIF, HEIF, STARTS
from .samples import describe_samples, problem_of_channels, read_tags

TRUNCATED = "truncated"
# The brands of videos, as of pictures.
_VIDEOS = (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V ", b"qt  ")


def is_of_brand(data: bytes, brands: tuple[bytes, ...]) -> bool:
    """Whether a file begins with a box that says one of these brands."""
    return data[4:8] == b"ftyp" and data.startswith(brands, 8)


def say_unknown(data: bytes) -> str:
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
    if is_cut(data):
        return TRUNCATED
    if is_of_brand(data, _VIDEOS):
        return "not an image: a video"
    if data.startswith(b"%PDF-"):
        return "not an image: a PDF"
    known = data.startswith(STARTS) or is_of_brand(data, HEIF)
    return "damaged header" if known else "not an image"


def is_cut(data: bytes) -> bool:
    """Whether a file ends before the place where its own header says that there is more."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        order = "little" if data[:2] == b"II" else "big"
        start = int.from_bytes(data[4:8], order)  # of the table of places
        count = int.from_bytes(data[start : start + 2], order)
        return start + 2 + 12 * count > len(data)
    if is_of_brand(data, HEIF + AVIF):
        end, length = 0, 8
        while end < len(data) and length >= 8:  # less means a last box without a length
            length = int.from_bytes(data[end : end + 4], "big")
            end += length
        return end > len(data)
    return False
