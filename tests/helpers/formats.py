"""Image files that Pillow cannot write, made by hand from the descriptions of their formats."""

import io
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pillow_heif

from images import SIDE

# TIFF: bytes of each type of value, and its letter for `struct`.
ASCII, SHORT, LONG, FLOAT = 2, 3, 4, 11
LETTERS = {ASCII: "B", SHORT: "H", LONG: "I", FLOAT: "f"}
# PNG: first row and column of each of the seven passes of interlacing, and the steps after them.
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
PASSES += [(1, 0, 2, 1)]


def chunk(kind: bytes, data: bytes) -> bytes:
    """One piece of a PNG, with its length before and its sum behind."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    rows: Iterable[bytes | np.ndarray],
    depth: int,
    colour: int,
    more: bytes = b"",
    interlaced: int = 0,
) -> bytes:
    """A PNG of SIDE pixels in SIDE rows.

    Args:
        rows: packed pixels of each row.
        depth: bits a channel.
        colour: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
        more: chunks before the pixels.
        interlaced: 1 if the rows are those of the seven passes.
    """
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, colour, 0, 0, interlaced)
    packed = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    pieces = [chunk(b"IHDR", header), more, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def interlaced(pixels: np.ndarray) -> bytes:
    """A PNG in seven passes of uint8 (SIDE, SIDE, 3)."""
    passes = [pixels[y::down, x::across] for y, x, down, across in PASSES]
    return png([row.tobytes() for some in passes for row in some], 8, 2, interlaced=1)


def bits(values: np.ndarray, depth: int) -> list[bytes]:
    """Rows of uint8 (height, width) with `depth` bits a pixel, the first in the highest bits."""
    single = np.unpackbits(values[..., None], axis=2)[..., 8 - depth :]
    return [row.tobytes() for row in np.packbits(single.reshape(len(values), -1), axis=1)]


def bmp(
    rows: Sequence[bytes | np.ndarray],
    depth: int,
    palette: bytes = b"",
    packing: int = 0,
    width: int = SIDE,
    height: int = SIDE,
) -> bytes:
    """A BMP.

    Args:
        rows: as stored, the lowest first, without what fills them up to four bytes.
        depth: bits a pixel.
        palette: four bytes a colour, or the masks of the channels.
        packing: 0 none, 1 and 2 run lengths, 3 masks.
        width: pixels across, as the header says.
        height: rows, as the header says; negative if the highest comes first.
    """
    packed = map(bytes, rows)
    data = b"".join(row + bytes(-len(row) % 4 if packing in (0, 3) else 0) for row in packed)
    start = 14 + 40 + len(palette)
    colours = 0 if packing == 3 else len(palette) // 4
    sizes = (40, width, height, 1, depth, packing, len(data), 1, 1, colours, 0)
    info = struct.pack("<IiiHHIIiiII", *sizes)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def runs(values: np.ndarray) -> list[bytes]:
    """Rows of uint8 (height, width) in run lengths of 8-bit BMPs, and their end."""
    rows = [b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in values.tolist()]
    return [*rows, b"\0\1"]


def tiff(
    tags: Mapping[int, tuple[int, Sequence[int]]],
    strips: Sequence[bytes],
    order: str = "<",
    follows: int = 0,
    places: tuple[int, int] = (273, 279),
) -> bytes:
    """A TIFF of one picture.

    Args:
        tags: type and values by number, without those that say where the strips are.
        strips: their bytes.
        order: `<` or `>`, as of `struct`.
        follows: where the table of the next picture is.
        places: the tags for where strips are and how long they are; of tiles 324 and 325.
    """
    data, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(data))
        data += strip + bytes(len(strip) % 2)
    every = {**tags, places[0]: (LONG, offsets), places[1]: (LONG, [len(s) for s in strips])}
    start = 8 + len(data)
    beyond = start + 2 + 12 * len(every) + 4
    table, rest = struct.pack(order + "H", len(every)), b""
    for number, (kind, values) in sorted(every.items()):
        packed = struct.pack(f"{order}{len(values)}{LETTERS[kind]}", *values)
        if len(packed) > 4:
            rest, packed = rest + packed, struct.pack(order + "I", beyond + len(rest))
        table += struct.pack(order + "HHI", number, kind, len(values)) + packed.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    table += struct.pack(order + "I", follows)
    return mark + struct.pack(order + "I", start) + data + table + rest


def tags(
    depths: Sequence[int], colour: int, width: int = SIDE, height: int = SIDE
) -> dict[int, tuple[int, Sequence[int]]]:
    """The tags that every TIFF has.

    Args:
        depths: bits of each channel.
        colour: 0 grey with 0 for white, 1 grey, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, 8 Lab.
        width: pixels across.
        height: rows.
    """
    known = {256: [width], 257: [height], 258: depths, 259: [1], 262: [colour]}
    known |= {277: [len(depths)], 278: [height]}
    return {number: (SHORT, values) for number, values in known.items()}


def gif(
    values: np.ndarray,
    colours: np.ndarray,
    canvas: tuple[int, int] | None = None,
    place: tuple[int, int] = (0, 0),
    clear: int | None = None,
    interlaced: bool = False,
) -> bytes:
    """A GIF with one frame, not packed.

    Args:
        values: uint8 (height, width), below 128.
        colours: uint8 (128, 3).
        canvas: width and height of the whole; without it, those of the frame.
        place: left and top of the frame.
        clear: the value that is transparent.
        interlaced: every eighth row first, and so on.
    """
    height, width = values.shape
    wide, high = canvas or (width, height)
    if interlaced:
        values = np.concatenate([values[0::8], values[4::8], values[2::4], values[1::2]])
    codes = b""
    pixels = values.tobytes()
    for start in range(0, len(pixels), 126):  # codes of 8 bits, as long as the table is cleared
        codes += b"\x80" + pixels[start : start + 126]
    codes += b"\x81"
    blocks = [codes[i : i + 255] for i in range(0, len(codes), 255)]
    control = b"" if clear is None else b"!\xf9\4\1\0\0" + bytes([clear]) + b"\0"
    screen = struct.pack("<HHBBB", wide, high, 0xF6, 0, 0) + colours.tobytes()
    frame = b"," + struct.pack("<HHHHB", *place, width, height, 0x40 * interlaced) + b"\7"
    packed = b"".join(bytes([len(block)]) + block for block in blocks)
    return b"GIF89a" + screen + control + frame + packed + b"\0;"


def heic(*pictures: np.ndarray, exif: bytes | None = None, **options: Any) -> bytes:
    """A HEIC, with the least loss unless `quality` says otherwise.

    Args:
        pictures: (height, width), or with 3 or 4 channels; of uint16 ten bits are kept.
        exif: EXIF data; how the camera was held, the file then says in its own way too.
        options: of `save`, such as `primary_index`.
    """
    made = pillow_heif.HeifFile()
    for picture in pictures:
        mode = {2: "L", 3: "RGB", 4: "RGBA"}[picture.shape[-1] if picture.ndim == 3 else 2]
        deep = ";16" * (picture.dtype == np.uint16)
        made.add_frombytes(mode + deep, picture.shape[1::-1], picture.tobytes())
    made.info["exif"] = exif
    file = io.BytesIO()
    made.save(file, **({"quality": -1, "chroma": 444} | options))
    return file.getvalue()


def with_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    """A JPEG with a small JPEG in its EXIF data."""
    first = struct.pack("<HHHIII", 1, 0x0112, SHORT, 1, 1, 26)
    second = struct.pack("<H", 2) + struct.pack("<HHII", 0x0201, LONG, 1, 56)
    second += struct.pack("<HHIII", 0x0202, LONG, 1, len(thumbnail), 0)
    data = b"Exif\0\0II*\0\x08\0\0\0" + first + second + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + jpeg[2:]
