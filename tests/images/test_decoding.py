"""From the bytes of a file to pixels, or to the reason why there are none.

Files of all kinds are read in `test_tensors.py`.
"""

import imagehash
import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression

from formats import heic
from graft.decoder import picture as decoder
from graft.decoder.reasons import BLANK, Undecodable
from graft.images.decoding import decode
from images import SIDE, encoded, picture, python
from readable import JPEG, KNOWN, PNG, READABLE, exif, turned
from unreadable import UNREADABLE

REASONS = ("truncated", "not an image", "decompression bomb", "too small", "damaged header")
KINDS = ("unreadable: ", "unsupported mode", "unknown range: ", "values that", BLANK)
FITS = ("stretch", "crop", "pad")
sides = st.integers(decoder._SHORTEST, 300)


def reason(data: bytes) -> str:
    """Why a file cannot be decoded; empty if it can."""
    try:
        decode(data, SIDE)
    except Undecodable as error:
        return str(error)
    return ""


def test_there_are_files_of_many_kinds() -> None:
    assert len({data for data, _, _ in READABLE.values()}) > 90
    assert len({data for data, _ in UNREADABLE.values()}) > 90


FORMS = st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"])


@given(sides, sides, st.sampled_from([8, 32]), FORMS, st.integers(1, 8), st.sampled_from(FITS))
def test_any_size_becomes_a_square_and_is_given_as_shown(
    width: int, height: int, side: int, form: str, way: int, fit: str
) -> None:
    stored = turned(picture(4, height, width), way)
    image = decode(encoded(stored, form, exif=exif(way)), side, fit)
    assert image.pixels.shape == (side, side, 3)
    assert (image.width, image.height) == (width, height)
    assert len(image.phash) == 16


@given(st.integers(1, 3000), st.integers(1, 10), st.booleans(), st.sampled_from(FITS))
def test_a_side_of_nothing_is_too_small(long: int, short: int, upright: bool, fit: str) -> None:
    shape = (long, short) if upright else (short, long)
    data = encoded(np.full((*shape, 3), 7, np.uint8))
    if min(shape) < decoder._SHORTEST:
        assert reason(data) == "too small"
    else:
        assert (decode(data, 16, fit).width, decode(data, 16, fit).height) == shape[::-1]


@given(st.integers(8, 64), st.integers(8, 64))
def test_a_fit_keeps_the_picture_where_it_belongs(width: int, height: int) -> None:
    # Every pixel holds its own column and row; a blue of 0 tells it from the white around it.
    shown = np.zeros((height, width, 3), np.uint8)
    shown[..., 0], shown[..., 1] = np.arange(width), np.arange(height)[:, None]
    edge, longest = min(width, height), max(width, height)
    crop = decode(encoded(shown), edge, "crop").pixels.astype(int)
    for channel, length in ((0, width), (1, height)):
        values, first = crop[..., channel], (length - edge) / 2
        assert abs(values.min() - first) <= 1 and abs(values.max() - (first + edge - 1)) <= 1
    pad = decode(encoded(shown), longest, "pad").pixels
    inside = (pad != 255).any(-1)
    assert inside.sum() == width * height
    rows, columns = np.nonzero(inside)
    assert (pad[rows, columns] == shown[rows - rows.min(), columns - columns.min()]).all()
    around = (rows.min(), longest - 1 - rows.max(), columns.min(), longest - 1 - columns.max())
    assert abs(around[0] - around[1]) <= 1 and abs(around[2] - around[3]) <= 1
    stretched = np.asarray(Image.fromarray(shown).resize((20, 20), Image.Resampling.BICUBIC))
    gap = decode(encoded(shown), 20, "stretch").pixels.astype(int) - stretched
    assert np.abs(gap).max() <= 1


def test_a_large_photo_is_resized_like_a_small_one() -> None:
    large = picture(5, 1200, 800)
    small = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BICUBIC))
    for data in (encoded(large), encoded(large, "JPEG", quality=95)):
        image = decode(data, 64)
        assert np.abs(image.pixels.astype(int) - small.astype(int)).max() <= 4
        assert (image.width, image.height) == (800, 1200)


def test_the_perceptual_hash_survives_what_changes_no_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    shown = Image.fromarray(noise).resize((200, 200), Image.Resampling.BICUBIC)
    other = Image.fromarray(noise[::-1]).resize((200, 200), Image.Resampling.BICUBIC)
    files = [encoded(shown), encoded(shown, "JPEG", quality=60), encoded(shown.resize((120, 120)))]
    hashes = [imagehash.hex_to_hash(decode(data, 32).phash) for data in [*files, encoded(other)]]
    assert max(hashes[0] - near for near in hashes[1:3]) <= 6
    assert hashes[0] - hashes[3] > 12


@pytest.mark.parametrize("data", [PNG, JPEG], ids=["png", "jpeg"])
@given(garbage=st.binary(max_size=200))
def test_garbage_for_exif_data_costs_no_picture(data: bytes, garbage: bytes) -> None:
    form = "PNG" if data is PNG else "JPEG"
    options = {} if form == "PNG" else {"quality": 98, "subsampling": 0}
    image = decode(encoded(KNOWN, form, exif=b"Exif\0\0" + garbage, **options), SIDE)
    assert np.abs(image.pixels.astype(int) - KNOWN.astype(int)).max() <= 4


@given(
    st.sampled_from(list(READABLE)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_broken_bytes_are_an_image_or_have_a_reason(
    name: str, changes: list[tuple[float, int]], kept: float
) -> None:
    broken = bytearray(READABLE[name][0])
    for place, byte in changes:
        broken[int(place * len(broken))] = byte
    why = reason(bytes(broken[: max(1, round(kept * len(broken)))]))
    assert why in ("", *REASONS) or why.startswith(KINDS) or "channels: " in why
    assert why != "unreadable: "
    assert "\n" not in why and " at 0x" not in why and len(why) < 300


@given(st.binary(max_size=400))
def test_any_bytes_are_no_image_or_have_another_reason(data: bytes) -> None:
    assert reason(data)


def test_a_phone_says_twice_how_it_was_held_and_is_turned_once() -> None:
    """The files of the collection hold what they are named for."""

    def held(name: str) -> tuple[int | None, tuple[int, int]]:
        file = pillow_heif.open_heif(READABLE[name][0])
        return pillow_heif.misc.set_orientation(dict(file.info)), file.size

    long = turned(picture(4, 40, 80), 6)
    image = decode(heic(long, exif=exif(6).tobytes()), SIDE)
    assert (image.width, image.height) == (80, 40)
    assert held("held in way 6.heic")[0] == held("turned by exif alone.heic")[0] == 6


def test_what_reads_heic_is_imported_for_heic_alone() -> None:
    """It takes a few hundredths of a second, and commands decode many small files."""
    code = """
        import sys
        from graft.images.decoding import decode
        for data in map(bytes.fromhex, sys.argv[1:]):
            decode(data, 32)
            print("pillow_heif" in sys.modules)
    """
    small = heic(picture(1, 16, 16))
    assert python(code, PNG.hex(), small.hex()).split() == ["False", "True"]


def test_decoding_at_reduced_scale_changes_no_prediction() -> None:
    def photo(label: int, seed: int) -> Image.Image:
        y, x = np.mgrid[0 : 1 : 600 * 1j, 0 : 1 : 800 * 1j]
        draw = np.random.default_rng(seed)
        wave = np.sin((12 + draw.uniform(-1, 1)) * (x, y, x + y)[label] + draw.uniform(0, 1))
        pixels = 128 + 50 * wave[..., None] + draw.normal(0, 30, (600, 800, 3))
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    labels = np.arange(24) % 3
    photos = [photo(label, seed) for seed, label in enumerate(labels.tolist())]
    # PPM has no reduced scale; a JPEG of this side is decoded at an eighth.
    whole = np.stack([decode(encoded(image, "PPM"), 32).pixels.ravel() for image in photos]) / 255
    jpegs = [decode(encoded(image, "JPEG", quality=90), 32).pixels.ravel() for image in photos]
    model = LogisticRegression(max_iter=1000).fit(whole[:12], labels[:12])
    predicted = model.predict(whole[12:])
    assert (predicted == labels[12:]).mean() > 0.9
    assert (model.predict(np.stack(jpegs[12:]) / 255) == predicted).all()
