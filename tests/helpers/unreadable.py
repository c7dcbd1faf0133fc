"""Files that show nothing: broken, cut, hostile, of no use, or no images at all.

`UNREADABLE` has by name the bytes, and how the reason for the quarantine begins.
"""

import struct
import zlib

import numpy as np
from PIL import Image

from formats import bmp, chunk, gif, heic, interlaced, tags, tiff
from images import SIDE, encoded
from readable import (
    COLOURS,
    FIRST,
    GIF,
    GREY,
    HEIC,
    INDICES,
    JPEG,
    KNOWN,
    PNG,
    ROWS,
    SHOWN,
    TIFF,
    jpeg,
)


def header(width: int, height: int, packed: bytes) -> bytes:
    """A PNG whose pixels may be others than its header says."""
    said = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG[:8] + chunk(b"IHDR", said) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def cut(data: bytes, *shares: float) -> list[bytes]:
    """The beginnings of a file."""
    return [data[: int(len(data) * share)] for share in shares]


def patched(data: bytes, place: int, other: bytes) -> bytes:
    """A file with other bytes at a place."""
    return data[:place] + other + data[place + len(other) :]


SIZE = JPEG.index(b"\xff\xc0") + 5  # the place of height and width
BOX = HEIC.index(b"ispe") + 8  # of a HEIC
LARGER = heic(np.zeros((320, 320), np.uint8))
LARGER = LARGER.replace(struct.pack(">II", 320, 320), struct.pack(">II", 64, 64))
BOMB = header(60000, 60000, zlib.compress(bytes(1000)))
TEXT_BOMB = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(2**23)))
WRONG_TEXT = b"\0\0\0\5tEXtkey\0vWRNG"
TALL = tags([8, 8, 8], 2, 32, 6400)
NO_IMAGE = {
    "text": b"this is text\n" * 20,
    "page": b"<!DOCTYPE html><html><body>404</body></html>",
    "zeros": bytes(1000),
    "one byte": b"\xff",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
    "film": b"\0\0\0\x18ftypmp42" + bytes(500),
    "sound": b"RIFF\x10\0\0\0WAVEfmt " + bytes(100),
    "drawing": b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"/>',
    "document": b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\n%%EOF",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\nshowpage\n",
    "icon": encoded(SHOWN, "ICO"),
    "photoshop": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 32, 32, 8, 3) + bytes(9000),
    "jpeg 2000": encoded(SHOWN, "JPEG2000"),
    "archive": b"PK\5\6" + bytes(18),
    "program": b"\x7fELF" + bytes(200),
    "script": b"#!/bin/sh\nrm -rf /\n",
}
SAID = {"film": "not an image: a video", "document": "not an image: a PDF"}
SAID["heic"] = "damaged header"
WHOLE = {"a.jpg": JPEG, "b.jpg": jpeg(progressive=True), "c.png": PNG, "d.png": interlaced(KNOWN)}
WHOLE |= {"e.webp": encoded(KNOWN, "WEBP"), "f.webp": encoded(KNOWN, "WEBP", lossless=True)}
WHOLE |= {"g.bmp": encoded(KNOWN, "BMP"), "h.tif": encoded(KNOWN, "TIFF")}
WHOLE |= {"i.tif": encoded(KNOWN, "TIFF", compression="tiff_lzw")}
WHOLE |= {"j.tif": tiff(TIFF, [KNOWN.tobytes()], ">")}
WHOLE |= {"k.ppm": encoded(KNOWN, "PPM"), "l.avif": encoded(KNOWN, "AVIF")}
WHOLE |= {"m.heic": HEIC, "n.heic": HEIC[:8] + b"mif1" + HEIC[12:]}
UNREADABLE = {
    "empty.jpg": (b"", "zero bytes"),
    **{f"{name}.jpg": (data, SAID.get(name, "not an image")) for name, data in NO_IMAGE.items()},
    "start.png": (PNG[:8], "damaged header"),
    "start.jpg": (JPEG[:4], "damaged header"),
    "start.gif": (GIF[:13], "damaged header"),
    "only a header.jpg": (JPEG[:2], "not an image"),
    **{
        f"{number} of 4 of {name}": (data, "truncated")
        for name, whole in WHOLE.items()
        for number, data in enumerate(cut(whole, 0.25, 0.5, 0.75, 0.9), start=1)
    },
    "half.gif": (GIF[: (len(GIF) + 400) // 2], "truncated"),
    "no end.jpg": (JPEG[:-2], "truncated"),
    "bomb.png": (BOMB, "decompression bomb"),
    "bomb.jpg": (patched(JPEG, SIZE, struct.pack(">HH", 65500, 65500)), "decompression bomb"),
    "bomb.gif": (patched(GIF, 6, struct.pack("<HH", 65535, 65535)), "decompression bomb"),
    "bomb.bmp": (bmp([], 24, width=60000, height=60000), "decompression bomb"),
    "bomb.tif": (tiff(tags([8], 1, 60000, 60000), [b""]), "decompression bomb"),
    "bomb.heic": (patched(HEIC, BOX, struct.pack(">II", 14000, 14000)), "decompression bomb"),
    "more than it says.heic": (LARGER, "decompression bomb"),
    "bomb.ppm": (b"P6 60000 60000 255\n", "decompression bomb"),
    "text bomb.png": (PNG[:FIRST] + TEXT_BOMB + PNG[FIRST:], "unreadable: Decompressed data"),
    "text bomb behind.png": (PNG[:-12] + TEXT_BOMB + PNG[-12:], "unreadable: Decompressed data"),
    "taller than its pixels.bmp": (bmp(ROWS, 24, height=64), "truncated"),
    "taller than its pixels.ppm": (b"P6 32 64 255\n" + KNOWN.tobytes(), "truncated"),
    "taller than its pixels.tif": (tiff(TALL, [KNOWN.tobytes()]), "truncated"),
    "larger than its pixels.heic": (
        patched(HEIC, BOX, struct.pack(">II", 128, 128)),
        "unreadable: ",
    ),
    "no pixels.png": (PNG[:FIRST] + PNG[-12:], "unreadable: "),
    "no width.png": (header(0, 0, zlib.compress(b"")), "damaged header"),
    "no height.jpg": (patched(JPEG, SIZE, b"\0\0"), "damaged header"),
    "negative width.bmp": (bmp([], 24, width=-32, height=32), "decompression bomb"),
    "wrong sum.png": (patched(PNG, FIRST + 20, bytes([PNG[FIRST + 20] ^ 1])), "unreadable: "),
    "wrong sum of the header.png": (patched(PNG, 29, bytes(4)), "damaged header"),
    "wrong sum of text.png": (PNG[:FIRST] + WRONG_TEXT + PNG[FIRST:], "damaged header"),
    "wrong length.png": (PNG.replace(b"IDAT", b"IDAT\xff", 1), "unreadable: "),
    "unknown packing.bmp": (bmp([], 24, packing=9), "unreadable: "),
    "unknown process.jpg": (patched(JPEG, SIZE - 4, b"\xcb"), "unreadable: "),
    "tiny.png": (encoded(KNOWN[:7]), "too small"),
    "dot.gif": (gif(INDICES[:1, :1], COLOURS), "too small"),
    "narrow.jpg": (jpeg(np.ascontiguousarray(KNOWN[:, :7])), "too small"),
    "fractions.tif": (encoded(GREY.astype(np.float32), "TIFF"), "unknown range: "),
    "32 bits.tif": (encoded(GREY.astype(np.int32), "TIFF"), "unknown range: "),
    "lab.tif": (encoded(Image.merge("LAB", SHOWN.split()), "TIFF"), "unsupported mode LAB"),
    "two channels.tif": (tiff(tags([16, 16], 1), [bytes(4 * SIDE * SIDE)]), "unsupported mode: 2"),
    "64 bits.tif": (tiff(tags([64], 1), [bytes(8 * SIDE * SIDE)]), "unsupported mode: 1"),
    "fractions.pfm": (b"Pf\n32 32\n-1.0\n" + GREY.astype("<f4").tobytes(), "unknown range: "),
    "its own table.tif": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "damaged header"),
    "words.ppm": (b"P3 32 32 255\nno numbers at all", "unreadable: "),
    "no sense.gif": (b"GIF89a" + bytes(range(256)) * 8, "damaged header"),
    "no sense.webp": (b"RIFF\x10\0\0\0WEBPVP8 \xff\xff" + bytes(20), "unreadable: "),
}
