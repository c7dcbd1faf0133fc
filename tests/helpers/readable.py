"""Files that show a known picture, one of every kind that a data set may hold.

`READABLE` has by name the bytes, the pixels that they show, and by how many grey values the format
may miss them.
"""

import struct

import numpy as np
from PIL import Image

from formats import bits, bmp, chunk, gif, heic, interlaced, png, runs, tags, tiff, with_thumbnail
from images import SIDE, encoded, picture

KNOWN = picture(1)
OTHER = Image.fromarray(picture(2))
SHOWN = Image.fromarray(KNOWN)
GREY = np.asarray(SHOWN.convert("L"))
LEVELS = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * 64).astype(np.uint16)
EIGHT = LEVELS // 257  # the same in 8 bits
# The palette's first colour is clear in the files that have holes.
PALETTE = SHOWN.quantize(16)
INDICES = np.asarray(PALETTE)
COLOURS = np.zeros((128, 3), np.uint8)
COLOURS[:16] = np.reshape(PALETTE.getpalette("RGB"), (-1, 3))[:16]
OF_PALETTE = COLOURS[INDICES]
HOLED = np.where((INDICES == 0)[..., None], 255, OF_PALETTE)
HALF = np.dstack([KNOWN, np.full((SIDE, SIDE), 128, np.uint8)])
OVER_WHITE = np.round(KNOWN * (128 / 255) + 255 * (127 / 255)).astype(np.uint8)
# A quarter of the picture in the middle of white.
PARTIAL = np.full((SIDE, SIDE, 3), 255, np.uint8)
PARTIAL[8:24, 8:24] = OF_PALETTE[8:24, 8:24]


def grey(values: np.ndarray) -> np.ndarray:
    """Grey values as RGB."""
    return np.dstack([values] * 3)


def exif(orientation: int) -> Image.Exif:
    """EXIF data that says how the camera was held."""
    data = Image.Exif()
    data[0x0112] = orientation
    return data


# The steps down and across in which a camera that is held in these ways stores a picture; from the
# fifth on rows are columns.
STEPS = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1)}
STEPS |= {5: (1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera held that way stores of a picture."""
    down, across = STEPS[orientation]
    shown = pixels if orientation < 5 else pixels.swapaxes(0, 1)
    return np.ascontiguousarray(shown[::down, ::across])


def jpeg(image: np.ndarray | Image.Image = KNOWN, **options) -> bytes:
    """A JPEG close to the picture."""
    return encoded(image, "JPEG", **({"quality": 98, "subsampling": 0} | options))


def several() -> dict[str, object]:
    """The options for a file of two pictures, this one the second."""
    return {"save_all": True, "append_images": [OTHER.copy()]}


def big(values: np.ndarray) -> list[bytes]:
    """Rows of 16 bits, the higher byte first."""
    return [row.astype(">u2").tobytes() for row in values]


def twelve(values: np.ndarray) -> bytes:
    """Values of 12 bits, two in three bytes."""
    pairs = values.reshape(-1, 2).astype(int)
    both = pairs[:, 0] << 12 | pairs[:, 1]
    return np.stack([both >> 16, both >> 8 & 255, both & 255], 1).astype(np.uint8).tobytes()


def ycck() -> bytes:
    """A JPEG in four channels, lightness first, as Adobe's programs write it."""
    planes = np.asarray(Image.fromarray(255 - KNOWN).convert("YCbCr"))
    data = jpeg(Image.fromarray(np.dstack([255 - planes, np.zeros_like(GREY)]), "CMYK"))
    place = data.index(b"Adobe") + 11  # where it says how the channels are to be understood
    return data[:place] + b"\2" + data[place + 1 :]


SQUARE = (SIDE, SIDE)
TWO_TONES, TONES = Image.fromarray(GREY > 127), grey(np.where(GREY > 127, 255, 0))
OPAQUE = np.dstack([LEVELS, LEVELS * 0 + 65535])
CLEAR = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", SQUARE, 0)])
SIDEWAYS, WAY = turned(KNOWN, 6), {"exif": exif(6)}
PNG = encoded(KNOWN)
JPEG = jpeg()
GIF = gif(INDICES, COLOURS)
PART = gif(INDICES[8:24, 8:24], COLOURS, SQUARE, (8, 8))
FIRST = PNG.index(b"IDAT") - 4  # where the pixels begin
# With one level, colour or grey value that is clear.
ONE_LEVEL = png(big(LEVELS), 16, 0, chunk(b"tRNS", struct.pack(">H", 6400)))
ONE_COLOUR = png(KNOWN, 8, 2, chunk(b"tRNS", KNOWN[0, 0].astype(">u2").tobytes()))
ONE_GREY = png(GREY, 8, 0, chunk(b"tRNS", b"\0" + bytes([GREY[0, 0]])))
FIRST_COLOUR = (KNOWN[0, 0] == KNOWN).all(-1)[..., None]

PNGS = {
    "rgb.png": (PNG, KNOWN, 0),
    "grey.png": (encoded(GREY), grey(GREY), 0),
    "grey and alpha.png": (encoded(CLEAR), np.full_like(KNOWN, 255), 0),
    "rgb and alpha.png": (encoded(HALF), OVER_WHITE, 1),
    "1 bit.png": (encoded(TWO_TONES), TONES, 0),
    "2 bits.png": (png(bits(GREY >> 6, 2), 2, 0), grey(GREY // 64 * 85), 0),
    "4 bits.png": (png(bits(GREY >> 4, 4), 4, 0), grey(GREY // 16 * 17), 0),
    "16 bits.png": (encoded(LEVELS), grey(EIGHT), 0),
    "16 bits, one level clear.png": (ONE_LEVEL, grey(np.where(LEVELS == 6400, 255, EIGHT)), 0),
    "16 bits and alpha.png": (png(big(OPAQUE), 16, 4), grey(LEVELS // 256), 0),
    "16 bits rgb.png": (png(big(KNOWN * np.uint16(257)), 16, 2), KNOWN, 0),
    "16 bits rgb and alpha.png": (png(big(HALF * np.uint16(257)), 16, 6), OVER_WHITE, 1),
    "one colour clear.png": (ONE_COLOUR, np.where(FIRST_COLOUR, 255, KNOWN), 0),
    "one grey clear.png": (ONE_GREY, grey(np.where(GREY[0, 0] == GREY, 255, GREY)), 0),
    "interlaced.png": (interlaced(KNOWN), KNOWN, 0),
    "palette.png": (encoded(PALETTE), OF_PALETTE, 0),
    "palette of 4 bits.png": (encoded(PALETTE, bits=4), OF_PALETTE, 0),
    "palette with holes.png": (encoded(PALETTE, transparency=0), HOLED, 0),
    "palette with alpha.png": (encoded(PALETTE, transparency=b"\0" + b"\xff" * 15), HOLED, 0),
    "moving.png": (encoded(KNOWN, **several()), KNOWN, 0),
    "wrong sum behind the pixels.png": (PNG[:-16] + bytes(4) + PNG[-12:], KNOWN, 0),
    "broken text.png": (PNG[:FIRST] + chunk(b"zTXt", b"key\0\0no zlib") + PNG[FIRST:], KNOWN, 0),
    "broken exif.png": (encoded(KNOWN, exif=b"Exif\0\0no EXIF at all"), KNOWN, 0),
    "held sideways.png": (encoded(SIDEWAYS, **WAY), KNOWN, 0),
}
JPEGS = {
    "rgb.jpg": (JPEG, KNOWN, 4),
    "coarse colours.jpg": (jpeg(subsampling=2), KNOWN, 8),
    "progressive.jpg": (jpeg(progressive=True), KNOWN, 4),
    "restart markers.jpg": (jpeg(restart_marker_blocks=1), KNOWN, 4),
    "grey.jpg": (jpeg(GREY), grey(GREY), 4),
    "cmyk.jpg": (jpeg(SHOWN.convert("CMYK")), KNOWN, 6),
    "ycck.jpg": (ycck(), KNOWN, 6),
    "garbage behind.jpg": (JPEG + b"garbage" * 100, KNOWN, 4),
    "another behind.jpg": (JPEG + jpeg(OTHER), KNOWN, 4),
    "thumbnail of another.jpg": (with_thumbnail(JPEG, jpeg(OTHER)), KNOWN, 4),
    "broken exif.jpg": (jpeg(exif=b"Exif\0\0no EXIF at all"), KNOWN, 4),
    "endless exif.jpg": (jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\x08\0\0\0"), KNOWN, 4),
    "two frames.mpo": (encoded(KNOWN, "MPO", quality=98, subsampling=0, **several()), KNOWN, 4),
    **{
        f"held in way {way}.jpg": (jpeg(turned(KNOWN, way), exif=exif(way)), KNOWN, 4)
        for way in range(1, 9)
    },
}
GIFS = {
    "palette.gif": (GIF, OF_PALETTE, 0),
    "interlaced.gif": (gif(INDICES, COLOURS, interlaced=True), OF_PALETTE, 0),
    "holes.gif": (gif(INDICES, COLOURS, clear=0), HOLED, 0),
    "part of the canvas.gif": (PART, PARTIAL, 0),
    "moving.gif": (encoded(PALETTE, "GIF", **several()), OF_PALETTE, 0),
    "moving, its first frame small.gif": (PART[:-1] + GIF[13 + 384 :], PARTIAL, 0),
    "no end.gif": (GIF[:-1], OF_PALETTE, 0),
}
WEBPS = {
    "lossy.webp": (encoded(KNOWN, "WEBP", quality=98), KNOWN, 10),
    "lossless.webp": (encoded(KNOWN, "WEBP", lossless=True), KNOWN, 0),
    "alpha.webp": (encoded(HALF, "WEBP", lossless=True), OVER_WHITE, 1),
    "moving.webp": (encoded(KNOWN, "WEBP", lossless=True, **several()), KNOWN, 0),
    "held sideways.webp": (encoded(SIDEWAYS, "WEBP", lossless=True, **WAY), KNOWN, 0),
}
LOW = KNOWN[::-1, :, ::-1]  # from below, blue first
FOUR = COLOURS[:16, ::-1]
FOUR = np.dstack([FOUR[None], np.zeros((1, 16, 1), np.uint8)]).tobytes()
FIVES = (KNOWN >> 3).astype(np.uint16)
PACKED = FIVES[..., 0] << 10 | FIVES[..., 1] << 5 | FIVES[..., 2]
WIDER = FIVES[..., 0] << 11 | FIVES[..., 1] << 6 | FIVES[..., 2]
MASKS = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
BMPS = {
    "24 bits.bmp": (encoded(KNOWN, "BMP"), KNOWN, 0),
    "from above.bmp": (bmp(KNOWN[..., ::-1], 24, height=-SIDE), KNOWN, 0),
    "32 bits.bmp": (bmp(np.dstack([LOW, LOW[..., 0] * 0]), 32), KNOWN, 0),
    "16 bits.bmp": (bmp(PACKED[::-1].astype("<u2"), 16), KNOWN, 8),
    "masks of 565.bmp": (bmp(WIDER[::-1].astype("<u2"), 16, MASKS, 3), KNOWN, 8),
    "8 bits.bmp": (bmp(INDICES[::-1], 8, FOUR), OF_PALETTE, 0),
    "4 bits.bmp": (bmp(bits(INDICES[::-1], 4), 4, FOUR), OF_PALETTE, 0),
    "1 bit.bmp": (encoded(TWO_TONES, "BMP"), TONES, 0),
    "run lengths.bmp": (bmp(runs(INDICES[::-1]), 8, FOUR, 1), OF_PALETTE, 0),
}
TIFF = tags([8, 8, 8], 2)
ROWS = [row.tobytes() for row in KNOWN]
PLANES = [KNOWN[..., channel].tobytes() for channel in range(3)]
TILES = [KNOWN[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
TILED = {number: value for number, value in TIFF.items() if number != 278}  # rows of a strip
TILED |= {322: (3, [16]), 323: (3, [16])}
SIXTEEN = (KNOWN * np.uint16(257)).astype("<u2").tobytes()
INVERSE = (65535 - LEVELS).astype("<u2").tobytes()
TWELVE = (LEVELS // 16).astype(int) * 255 // 4095
TIFFS = {
    **{
        f"{packing or 'not packed'}.tif": (encoded(KNOWN, "TIFF", compression=packing), KNOWN, 0)
        for packing in (None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")
    },
    "jpeg.tif": (encoded(KNOWN, "TIFF", compression="jpeg", quality=98), KNOWN, 10),
    "fax.tif": (encoded(TWO_TONES, "TIFF", compression="group4"), TONES, 0),
    "two pages.tif": (encoded(KNOWN, "TIFF", **several()), KNOWN, 0),
    "large.tif": (encoded(KNOWN, "TIFF", big_tiff=True), KNOWN, 0),
    "big endian.tif": (tiff(TIFF, [KNOWN.tobytes()], ">"), KNOWN, 0),
    "strips.tif": (tiff(TIFF | {278: (3, [1])}, ROWS), KNOWN, 0),
    "tiles.tif": (tiff(TILED, TILES, places=(324, 325)), KNOWN, 0),
    "planes.tif": (tiff(TIFF | {284: (3, [2])}, PLANES), KNOWN, 0),
    "next page is itself.tif": (tiff(TIFF, [KNOWN.tobytes()], follows=8 + KNOWN.size), KNOWN, 0),
    "cmyk.tif": (encoded(SHOWN.convert("CMYK"), "TIFF"), KNOWN, 2),
    "alpha.tif": (encoded(HALF, "TIFF"), OVER_WHITE, 1),
    "palette.tif": (encoded(PALETTE, "TIFF"), OF_PALETTE, 0),
    "16 bits.tif": (encoded(LEVELS, "TIFF"), grey(EIGHT), 0),
    "16 bits rgb.tif": (tiff(tags([16] * 3, 2), [SIXTEEN]), KNOWN, 0),
    "12 bits.tif": (tiff(tags([12], 1), [twelve(LEVELS >> 4)]), grey(TWELVE), 0),
    "16 bits, 0 is white.tif": (tiff(tags([16], 0), [INVERSE]), grey(EIGHT), 0),
    "0 is white.tif": (tiff(tags([8], 0), [(255 - GREY).tobytes()]), grey(GREY), 0),
    "held sideways.tif": (encoded(SIDEWAYS, "TIFF", **WAY), KNOWN, 0),
}
HEIC = heic(KNOWN)
# A phone says twice how it was held: in boxes, which turn the picture, and in EXIF data, which turn
# nothing in this format.
UPRIGHT = exif(1).tobytes()
EXIF_ALONE = heic(KNOWN, exif=UPRIGHT).replace(UPRIGHT, exif(6).tobytes())
SECOND = heic(picture(2), KNOWN, primary_index=1)
HEICS = {
    "lossless.heic": (HEIC, KNOWN, 1),
    "lossy.heic": (heic(KNOWN, quality=90), KNOWN, 8),
    "coarse colours.heic": (heic(KNOWN, quality=90, chroma=420), KNOWN, 10),
    "grey.heic": (heic(GREY), grey(GREY), 1),
    "alpha.heic": (heic(HALF), OVER_WHITE, 1),
    "10 bits.heic": (heic(KNOWN * np.uint16(257)), KNOWN, 1),
    "10 bits, grey.heic": (heic(LEVELS), grey(EIGHT), 1),
    "two pictures.heic": (heic(KNOWN, picture(2)), KNOWN, 1),
    "the second is the main one.heic": (SECOND, KNOWN, 1),
    "tiles.heic": (heic(KNOWN, tile_size=16), KNOWN, 1),
    "another brand.heif": (HEIC[:8] + b"mif1" + HEIC[12:], KNOWN, 1),
    "heic inside.jpg": (HEIC, KNOWN, 1),
    "turned by exif alone.heic": (EXIF_ALONE, KNOWN, 1),
    "broken exif.heic": (b"Exif\0\1".join(EXIF_ALONE.rsplit(b"Exif\0\0", 1)), KNOWN, 1),
    **{
        f"held in way {way}.heic": (heic(turned(KNOWN, way), exif=exif(way).tobytes()), KNOWN, 1)
        for way in range(1, 9)
    },
}
NUMBERS = " ".join(map(str, KNOWN.ravel())).encode()
FINE = {"quality": 98, "subsampling": "4:4:4"}
OTHERS = {
    "no suffix": (PNG, KNOWN, 0),
    "png inside.jpg": (PNG, KNOWN, 0),
    "jpeg inside.png": (JPEG, KNOWN, 4),
    "gif inside.csv": (GIF, OF_PALETTE, 0),
    "rgb.ppm": (encoded(KNOWN, "PPM"), KNOWN, 0),
    "plain.ppm": (b"P3 # of numbers\n32 32 255\n" + NUMBERS, KNOWN, 0),
    "16 bits.pgm": (b"P5 32 32 65535\n" + LEVELS.astype(">u2").tobytes(), grey(EIGHT), 0),
    "1 bit.pbm": (encoded(TWO_TONES, "PPM"), TONES, 0),
    "rgb.avif": (encoded(KNOWN, "AVIF", **FINE), KNOWN, 6),
    "held sideways.avif": (encoded(SIDEWAYS, "AVIF", **FINE, **WAY), KNOWN, 6),
}
READABLE = PNGS | JPEGS | GIFS | WEBPS | BMPS | TIFFS | HEICS | OTHERS
