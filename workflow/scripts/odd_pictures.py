"""Makes the files that the program of an export is tried on, in `exporting/odd`.

Programs differ in how they decode them, or end in an error. Each shows the same small picture,
which no turn and no change of colours leaves as it is; the last ones are no pictures.
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from graft.exporting.program import ODD

WIDTH, HEIGHT = 40, 32
ORIENTATION = 0x0112


def draw() -> np.ndarray:
    """A ring and a bar on a slope of colours: uint8 (HEIGHT, WIDTH, 3)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shown = np.stack([4 * x + 60, 5 * y + 40, 200 - 2 * x - y], -1).astype(np.uint8)
    far = np.hypot(x - 13, y - 12)
    shown[(far > 5) & (far < 9)] = 250, 40, 30
    shown[24:28, 22:38] = 20, 60, 235
    return shown


def encode(image: np.ndarray | Image.Image, form: str, **options: Any) -> bytes:
    """The bytes of a file, as Pillow writes it."""
    shown = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    shown.save(file, form, **options)
    return file.getvalue()


def pack_bits(values: np.ndarray, depth: int) -> list[bytes]:
    """Rows of uint8 values with `depth` bits each, the first in the highest bits."""
    single = np.unpackbits(values[..., None], axis=2)[..., 8 - depth :]
    return [row.tobytes() for row in np.packbits(single.reshape(len(values), -1), axis=1)]


def make_png(rows: list[bytes], depth: int, colour: int) -> bytes:
    """A PNG of these rows: `colour` is 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        total = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + total

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    pieces = [chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def make_tiff(rows: list[bytes], depth: int) -> bytes:
    """A TIFF of grey values with so many bits each, in one strip."""
    data = b"".join(rows)
    tags = {256: WIDTH, 257: HEIGHT, 258: depth, 259: 1, 262: 1, 273: 8, 277: 1, 278: HEIGHT}
    tags[279] = len(data)
    table = b"".join(struct.pack("<HHII", number, 4, 1, tags[number]) for number in sorted(tags))
    start = struct.pack("<I", 8 + len(data))
    return b"II*\0" + start + data + struct.pack("<H", len(tags)) + table + bytes(4)


def make_gif(palette: Image.Image) -> bytes:
    """A GIF of a larger canvas, of which its one frame covers a part."""
    data = bytearray(encode(palette, "GIF"))
    data[6:10] = struct.pack("<HH", WIDTH + 16, HEIGHT + 8)
    frame = data.index(b"," + struct.pack("<HHHH", 0, 0, WIDTH, HEIGHT))
    data[frame + 1 : frame + 5] = struct.pack("<HH", 10, 4)
    return bytes(data)


def make_heic(image: Image.Image, orientation: int) -> bytes:
    """A HEIC that was held in some way."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[ORIENTATION] = orientation
    pillow_heif.from_pillow(image).save(file, quality=80, exif=exif.tobytes())
    return file.getvalue()


def make_all() -> dict[str, bytes]:
    """All files by their names."""
    pixels = draw()
    shown = Image.fromarray(pixels)
    grey, palette = shown.convert("L"), shown.quantize(16)
    levels, alpha = np.asarray(grey), Image.fromarray(pixels[..., 1]).point(lambda v: 255 - v)
    wide = (levels.astype(np.uint16) * 257 + 100).astype(np.uint16)
    twelve = (levels.astype(int) * 16).reshape(HEIGHT, -1, 2)
    pairs = twelve[..., 0] << 12 | twelve[..., 1]
    threes = np.stack([pairs >> 16, pairs >> 8 & 255, pairs & 255], -1).astype(np.uint8)
    turned, sides = Image.Exif(), shown.transpose(Image.Transpose.ROTATE_90)
    turned[ORIENTATION] = 6  # it was held sideways
    clear = Image.merge("RGBA", [*shown.split(), alpha])
    jpeg = encode(shown, "JPEG", quality=85)
    bomb = make_png([b""], 8, 2).replace(
        struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 60_000, 60_000)
    )
    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(bomb[12:29])) + bomb[33:]
    return {
        "1-bit.png": encode(shown.convert("1"), "PNG"),
        "2-bit.png": make_png(pack_bits(levels >> 6, 2), 2, 0),
        "4-bit.png": make_png(pack_bits(levels >> 4, 4), 4, 0),
        "16-bit.png": encode(wide, "PNG"),
        "16-bit-rgb.png": make_png(
            [row.tobytes() for row in (pixels * np.uint16(257)).astype(">u2")], 16, 2
        ),
        "grey-alpha.png": encode(Image.merge("LA", [grey, alpha]), "PNG"),
        "rgb-alpha.png": encode(clear, "PNG"),
        "palette-4-bit.png": encode(palette, "PNG", bits=4),
        "palette-clear.png": encode(palette, "PNG", transparency=0),
        "baseline.jpg": jpeg,
        "progressive.jpg": encode(shown, "JPEG", quality=85, progressive=True),
        "grey.jpg": encode(grey, "JPEG", quality=85),
        "cmyk.jpg": encode(shown.convert("CMYK"), "JPEG", quality=85),
        "held-sideways.jpg": encode(sides, "JPEG", quality=85, exif=turned),
        "broken-exif.jpg": encode(shown, "JPEG", quality=85, exif=b"Exif\0\0no EXIF at all"),
        "large.jpg": encode(shown.resize((800, 640), Image.Resampling.NEAREST), "JPEG", quality=40),
        "rgb.tif": encode(shown, "TIFF", compression="tiff_lzw"),
        "12-bit.tif": make_tiff([row.tobytes() for row in threes], 12),
        "16-bit.tif": encode(wide, "TIFF"),
        "16-bit.pgm": f"P5 {WIDTH} {HEIGHT} 65535\n".encode() + wide.astype(">u2").tobytes(),
        "part-of-canvas.gif": make_gif(palette),
        "alpha.webp": encode(clear, "WEBP", lossless=True),
        "24-bit.bmp": encode(shown, "BMP"),
        "rgb.avif": encode(shown, "AVIF", quality=80),
        "held-sideways.heic": make_heic(sides, 6),
        "cut.jpg": jpeg[: len(jpeg) * 2 // 3],
        "bomb.png": bomb,
        "no-picture.png": b"no picture at all\n",
        "empty.png": b"",
    }


if __name__ == "__main__":
    ODD.mkdir(exist_ok=True)
    for name, data in make_all().items():
        (ODD / name).write_bytes(data)
