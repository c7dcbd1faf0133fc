"""Grey of more than 8 bits, floating point, and more channels than one can look at."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from formats import ASCII, FLOAT, LONG, SHORT, chunk, heic, png, tags, tiff
from graft.decoder.reasons import Undecodable
from graft.images.decoding import decode
from images import SIDE, encoded
from readable import GREY, KNOWN, LEVELS, big

SQUARE = (SIDE, SIDE)
# Twelve bits, each value of 0 to 4095 a few times at most.
TWELVE = (np.arange(SIDE * SIDE).reshape(SQUARE) * 4 + 3).astype(np.uint16)
HIGHEST, STATISTICS, DESCRIPTION = 341, 281, 270
FRACTIONS = (GREY / np.float32(255)).astype(np.float32)
UNKNOWN = "unknown range: image.white_level can say which value is white"


def grey(data: bytes, white_level: int | str = "auto") -> np.ndarray:
    """The grey values of a picture, which has no colours: int64 (SIDE, SIDE)."""
    pixels = decode(data, SIDE, white_level=white_level).pixels.astype(int)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def reason(data: bytes, white_level: int | str = "auto") -> str:
    """Why a picture is not read; empty if it is."""
    try:
        decode(data, SIDE, white_level=white_level)
    except Undecodable as error:
        return str(error)
    return ""


def wide_tiff(values: np.ndarray, more: Mapping[int, Any] | None = None, colour: int = 1) -> bytes:
    """A TIFF of grey values of any kind."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    known = tags([8 * values.dtype.itemsize], colour) | {339: (SHORT, [kind])}
    return tiff(known | dict(more or {}), [values.tobytes()])


def pgm(values: np.ndarray, highest: int) -> bytes:
    """A PGM of 16 bits."""
    return f"P5 {SIDE} {SIDE} {highest}\n".encode() + values.astype(">u2").tobytes()


def ome(bits: int) -> tuple[int, Sequence[int]]:
    """What a microscope says of a picture."""
    text = f'<?xml version="1.0"?><OME><Pixels Type="uint16" SignificantBits="{bits}"/></OME>'
    return ASCII, text.encode() + b"\0"


# What declares that white is 4095, and what only seems to.
DECLARED = {
    "the highest value": wide_tiff(TWELVE, {HIGHEST: (SHORT, [4095])}),
    "the highest value in 32 bits": wide_tiff(TWELVE, {HIGHEST: (LONG, [4095])}),
    "the highest value as a fraction": wide_tiff(TWELVE, {HIGHEST: (FLOAT, [4095.0])}),
    "a microscope": wide_tiff(TWELVE, {DESCRIPTION: ome(12)}),
    "the maximum of a PGM": pgm(TWELVE, 4095),
    "a sign, and the highest value": wide_tiff(TWELVE.astype("<i2"), {HIGHEST: (SHORT, [4095])}),
    "32 bits, and the highest value": wide_tiff(TWELVE.astype("<i4"), {HIGHEST: (LONG, [4095])}),
    "fractions up to 4095": wide_tiff(TWELVE.astype("<f4"), {HIGHEST: (FLOAT, [4095.0])}),
}
NOT_DECLARED = {
    "nothing": wide_tiff(TWELVE),
    "a PNG": encoded(TWELVE),
    # By PNG's own rule values are spread over all 16 bits, however many are significant.
    "significant bits of a PNG": png(big(TWELVE), 16, 0, chunk(b"sBIT", b"\x0c")),
    "the highest of this picture": wide_tiff(TWELVE, {HIGHEST: (SHORT, [int(TWELVE.max()) - 7])}),
    "statistics": wide_tiff(TWELVE, {STATISTICS: (SHORT, [4095])}),
    "a microscope that uses all": wide_tiff(TWELVE, {DESCRIPTION: ome(16)}),
    "a microscope that uses more": wide_tiff(TWELVE, {DESCRIPTION: ome(31)}),
    "a description in words": wide_tiff(TWELVE, {DESCRIPTION: (ASCII, b"SignificantBits=12\0")}),
    "the maximum of a PGM": pgm(TWELVE, 65535),
}


@pytest.mark.parametrize("name", DECLARED)
def test_what_a_file_declares_is_white(name: str) -> None:
    expected = np.asarray(TWELVE, int) * 255 / 4095
    assert np.abs(grey(DECLARED[name]) - expected).max() <= 1


@pytest.mark.parametrize("name", NOT_DECLARED)
def test_what_a_picture_holds_is_not(name: str) -> None:
    data = NOT_DECLARED[name]
    assert (grey(data) == TWELVE // 257).all()
    if not name.endswith("PGM"):  # which always declares it
        assert (grey(data, 4095) == TWELVE.astype(int) * 255 // 4095).all()


@given(
    arrays(np.uint16, SQUARE),
    arrays(np.uint16, SQUARE),
    st.sampled_from(["PNG", "TIFF"]),
    st.sampled_from(["auto", 1, 1023, 4095, 40000, 65535, 2**31 - 1]),
)
def test_a_value_is_one_grey_in_all_pictures(
    one: np.ndarray, other: np.ndarray, form: str, white_level: int | str
) -> None:
    seen = [grey(encoded(values, form), white_level) for values in (one, other)]
    white = 65535 if white_level == "auto" else white_level
    for values, found in zip((one, other), seen, strict=True):
        assert (found == np.minimum(values.astype(int), white) * 255 // white).all()


class TestFloatingPoint:
    def test_fractions_are_from_0_to_1(self) -> None:
        for values in (FRACTIONS, FRACTIONS / 8, FRACTIONS * 1.9, FRACTIONS - 0.5):
            shown = np.clip(values, 0, 1) * 255
            assert np.abs(grey(wide_tiff(values.astype("<f4"))) - shown).max() <= 0.51
        assert np.abs(grey(wide_tiff(1 - FRACTIONS, colour=0)) - GREY.astype(int)).max() <= 1
        plain = b"Pf\n32 32\n-1.0\n" + FRACTIONS[::-1].tobytes()
        assert (grey(plain) == GREY).all()

    def test_what_goes_beyond_needs_a_white(self) -> None:
        values = GREY.astype("<f4")
        assert reason(wide_tiff(values)) == UNKNOWN
        assert reason(wide_tiff(-values)) == UNKNOWN
        assert (grey(wide_tiff(values), 255) == GREY).all()
        assert np.abs(grey(wide_tiff(values * 4), 1020) - GREY).max() <= 1
        # A dark one of the same kind is read by the same measure.
        assert (grey(wide_tiff(values / 200), 255) == np.rint(values / 200)).all()

    @pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
    def test_what_is_no_number_is_not_read(self, odd: float) -> None:
        values = FRACTIONS.copy()
        values[3, 4] = odd
        for white_level in ("auto", 255):
            assert reason(wide_tiff(values), white_level) == "values that are no numbers"


def test_whole_numbers_of_other_kinds_need_a_white() -> None:
    for kind in ("<i2", "<i4", "<u4"):
        values = GREY.astype(kind)
        assert reason(wide_tiff(values)) == UNKNOWN
        assert (grey(wide_tiff(values), 255) == GREY).all()
    below = wide_tiff((GREY.astype(int) - 100).astype("<i2"))
    assert (grey(below, 155) == np.maximum(GREY.astype(int) - 100, 0) * 255 // 155).all()


def test_other_files_have_a_white_of_their_own() -> None:
    for data in (encoded(GREY), encoded(KNOWN, "TIFF"), heic(LEVELS), pgm(LEVELS, 65535)):
        assert (decode(data, SIDE, white_level=4095).pixels == decode(data, SIDE).pixels).all()
    level = chunk(b"tRNS", struct.pack(">H", int(TWELVE[5, 5])))
    found = grey(png(big(TWELVE), 16, 0, level), 4095)
    assert found[5, 5] == 255 and (found[5, 6:] == TWELVE[5, 6:].astype(int) * 255 // 4095).all()


def planes(count: int, depth: int, colour: int, apart: bool, extra: int = 0) -> bytes:
    """A TIFF of so many channels.

    Args:
        count: of channels.
        depth: bits of each.
        colour: as of `tags`.
        apart: whether each channel is stored by itself.
        extra: how many channels are said to be of no known kind.
    """
    known = tags([depth] * count, colour) | {284: (SHORT, [2 if apart else 1])}
    known |= {338: (SHORT, [0] * extra)} if extra else {}
    one = SIDE * SIDE * depth // 8
    return tiff(known, [bytes(one)] * count if apart else [bytes(one * count)])


MANY = {
    "thirteen of a satellite": (planes(13, 16, 1, False, 12), 13),
    "thirteen by themselves": (planes(13, 16, 1, True, 12), 13),
    "thirteen that are not declared": (planes(13, 8, 1, False), 13),
    "five, of which three are colours": (planes(5, 8, 2, False, 2), 5),
    "six, of which three are colours": (planes(6, 8, 2, True, 3), 6),
    "print and one more": (planes(5, 8, 5, False, 1), 5),
    "three that are no colours": (planes(3, 8, 1, True, 2), 3),
    "four that are no colours": (planes(4, 16, 1, False, 3), 4),
    "two hundred": (planes(200, 8, 1, False), 200),
}


@pytest.mark.parametrize("name", MANY)
def test_more_channels_than_one_can_look_at_are_counted(name: str) -> None:
    data, count = MANY[name]
    assert reason(data) == f"{count} channels: only grey, RGB, RGBA and CMYK are read"


def test_what_has_no_mode_is_described() -> None:
    said = {
        wide_tiff(GREY.astype("<f8")): "1 channel of 64 bits, floating point",
        wide_tiff(GREY.astype("<f2")): "1 channel of 16 bits, floating point",
        wide_tiff(GREY.astype("<i8")): "1 channel of 64 bits, with a sign",
        planes(2, 16, 1, False): "2 channels of 16 bits",
    }
    assert {reason(data) for data in said} == {
        f"unsupported mode: {what}" for what in said.values()
    }
    large = encoded(KNOWN, "TIFF", big_tiff=True)
    many = large.replace(struct.pack("<HHQH", 277, 3, 1, 3), struct.pack("<HHQH", 277, 3, 1, 9))
    assert many != large and reason(many).startswith("9 channels")


def test_colours_beside_others_are_read() -> None:
    """Red, green, blue and infrared, as cameras of drones have them."""
    four = np.dstack([KNOWN, 255 - GREY])
    known = tags([8] * 4, 2) | {338: (SHORT, [0])}
    assert (decode(tiff(known, [four.tobytes()]), SIDE).pixels == KNOWN).all()
