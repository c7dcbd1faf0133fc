"""From the bytes of an image file to pixels: the one decoder of checks, training and prediction."""

import io
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

# What transparent pixels show through to; paper is white.
BACKGROUND = (255, 255, 255, 255)
# The EXIF orientations that exchange width and height.
QUARTER_TURNS = (5, 6, 7, 8)


class Undecodable(Exception):
    """The bytes are no image to learn from; the text is the reason for the quarantine."""


@dataclass(frozen=True)
class Decoded:
    """One image.

    Attributes:
        pixels: uint8 (side, side, 3), RGB, 0–255.
        width: pixels across, as shown (after EXIF orientation).
        height: pixels down.
        phash: 64-bit perceptual hash of the whole picture, 16 hexadecimal digits.
    """

    pixels: np.ndarray
    width: int
    height: int
    phash: str


def decode(data: bytes, side: int) -> Decoded:
    """Decodes the whole image and resizes it to a square, stretching it.

    The first frame of an animation stands for it; grey becomes RGB; 16-bit grey is scaled to 8.

    Args:
        data: the bytes of an image file in any format that Pillow reads.
        side: the side of the result in pixels.

    Raises:
        Undecodable: with the reason.
    """
    if not data:
        raise Undecodable("zero bytes")
    try:
        with Image.open(io.BytesIO(data)) as file:
            width, height = file.size
            # JPEG can be decoded at 1/2, 1/4 or 1/8; twice the target keeps the resize sharp.
            file.draft("RGB", (2 * side, 2 * side))
            file.load()
            if file.getexif().get(ExifTags.Base.Orientation) in QUARTER_TURNS:
                width, height = height, width
            image = _rgb(ImageOps.exif_transpose(file))
        square = image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
        phash = str(imagehash.phash(image))
    except UnidentifiedImageError:
        raise Undecodable("not an image") from None
    except Image.DecompressionBombError:
        raise Undecodable("decompression bomb") from None
    except Exception as error:
        # Broken files make Pillow raise almost anything, struct.error and TypeError among it, and
        # one of them must not stop a run over thousands.
        text = str(error).partition("\n")[0]
        raise Undecodable(
            "truncated" if "truncated" in text.lower() else f"unreadable: {text}"
        ) from None
    return Decoded(np.asarray(square, np.uint8), width, height, phash)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        wide = np.asarray(image, np.uint32)
        return Image.fromarray((np.minimum(wide, 65535) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, BACKGROUND), rgba).convert("RGB")
    return image.convert("RGB")
