"""What transparent pixels show, and pictures of which nothing is seen there."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from formats import chunk, gif, heic, png
from graft.common.tables import read_json, read_table
from graft.decoder.reasons import BLANK, Undecodable
from graft.images.decoding import decode
from images import SIDE, change, check, classes, complaint, encoded, graft, picture, run, write
from readable import COLOURS, INDICES, KNOWN, OF_PALETTE, PART, big

COLOURED = ("white", "black", "grey", "#ff8000")
COUNTS = {"circle": 30, "square": 30}
CHANGE = "uv run graft use --set image.background="


def icon(kind: str, number: int, colour: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """A circle or a square of one colour on nothing: 40 pixels, another place for each number."""
    y, x = np.mgrid[:40, :40] - np.random.default_rng(number).uniform(12, 27, (2, 1, 1))
    far = np.hypot(y, x) if kind == "circle" else np.maximum(abs(y), abs(x))
    inside = far < 5 + number % 7
    return Image.fromarray(
        np.dstack([np.full((40, 40, 3), colour, np.uint8), np.where(inside, 255, 0)]).astype("u1")
    )


def icons(count: int, **options) -> dict[str, bytes]:
    """Files of both kinds, of so many numbers each."""
    return {
        f"{kind}/{number}.png": encoded(icon(kind, number, **options))
        for kind in ("circle", "square")
        for number in range(count)
    }


def reason(data: bytes, background: str = "white") -> str:
    """Why nothing is seen; empty if something is."""
    try:
        decode(data, SIDE, background=background)
    except Undecodable as error:
        return str(error)
    return ""


CLEAR_LEVEL = np.where(np.arange(SIDE) < 8, 6400, 30000)[None].repeat(SIDE, 0).astype(np.uint16)
HALF = np.dstack([KNOWN, np.full((SIDE, SIDE), 128, np.uint8)])
NOTHING = np.dstack([KNOWN, np.where(np.arange(SIDE) < 8, 0, 255)[None].repeat(SIDE, 0)])
NOTHING = NOTHING.astype(np.uint8)
# By name the bytes, what they show, and how much of it: 0–1.
CLEAR = {
    "alpha.png": (encoded(HALF), KNOWN, np.full((SIDE, SIDE), 128 / 255)),
    "hard.png": (encoded(NOTHING), KNOWN, NOTHING[..., 3] / 255),
    "hard.webp": (encoded(NOTHING, "WEBP", lossless=True), KNOWN, NOTHING[..., 3] / 255),
    "hard.tif": (encoded(NOTHING, "TIFF"), KNOWN, NOTHING[..., 3] / 255),
    "hard.heic": (heic(NOTHING), KNOWN, NOTHING[..., 3] / 255),
    "holes.gif": (gif(INDICES, COLOURS, clear=0), OF_PALETTE, INDICES != 0),
    "16 bits, one level clear.png": (
        png(big(CLEAR_LEVEL), 16, 0, chunk(b"tRNS", (6400).to_bytes(2, "big"))),
        np.dstack([CLEAR_LEVEL // 257] * 3),
        CLEAR_LEVEL != 6400,
    ),
}


@pytest.mark.parametrize("background", COLOURED)
@pytest.mark.parametrize("name", CLEAR)
def test_transparent_pixels_show_it(name: str, background: str) -> None:
    data, shown, share = CLEAR[name]
    expected = shown * share[..., None]
    expected = expected + np.array(ImageColor.getrgb(background)) * (1 - share[..., None])
    gap = np.abs(decode(data, SIDE, background=background).pixels - expected).max()
    assert gap <= (2 if name.endswith("heic") else 1)


@pytest.mark.parametrize("background", COLOURED)
def test_it_is_around_what_leaves_room(background: str) -> None:
    colour = np.array(ImageColor.getrgb(background))
    padded = decode(encoded(picture(1, 20, 40)), 40, "pad", background).pixels
    assert (padded[:10] == colour).all() and (padded[30:] == colour).all()
    assert (padded[10:30] == picture(1, 20, 40)).all()
    # A picture without holes, and a GIF that fills a part of its canvas.
    assert (decode(encoded(KNOWN), SIDE, "crop", background).pixels == KNOWN).all()
    part = decode(PART, SIDE, background=background).pixels
    assert (part[8:24, 8:24] == OF_PALETTE[8:24, 8:24]).all() and (part[0] == colour).all()


@given(
    st.sampled_from(COLOURED),
    st.integers(0, 255),
    st.tuples(*[st.integers(0, 7)] * 3),
    st.sampled_from(["circle", "square"]),
)
def test_a_shape_is_lost_where_it_has_the_colour_behind_it(
    background: str, number: int, off: tuple[int, int, int], kind: str
) -> None:
    colour = np.array(ImageColor.getrgb(background))
    near = np.where(colour > 127, colour - off, colour + off)
    data = encoded(icon(kind, number, tuple(near.tolist())))
    assert reason(data, background) == BLANK + background
    for other in COLOURED:
        if other != background:
            assert reason(data, other) == ""
    seen = np.where(colour > 127, colour - 8, colour + 8)
    assert reason(encoded(icon(kind, number, tuple(seen.tolist()))), background) == ""


def test_what_is_empty_on_every_background_is_no_loss() -> None:
    """A mask in which nothing is marked, a sheet of paper, a photo with round corners."""
    for rgba in ((255, 255, 255, 0), (255, 255, 255, 255), (255, 255, 255, 128), (0, 0, 0, 0)):
        assert reason(encoded(Image.new("RGBA", (SIDE, SIDE), rgba))) == ""
    corners = np.full((SIDE, SIDE), 255, np.uint8)
    corners[:3, :3] = 0
    assert reason(encoded(np.dstack([KNOWN, corners]))) == ""


class TestDataSets:
    """Icons in two classes through the stages until the split."""

    @staticmethod
    def stages(here: Path, background: str = "white") -> dict:
        """Lists and decodes the images, and looks for copies."""
        change(here, {"dataset.path": "photos", "image.background": background})
        rows = check()
        run("duplicates")
        return rows

    def test_of_white_icons_the_message_names_the_parameter(self, here: Path) -> None:
        write(here / "photos", icons(12))
        rows = self.stages(here)
        assert {row["reason"] for row in rows.values()} == {f"{BLANK}white"}
        assert complaint(here, "split") == (
            "params.yaml: image.background must be a colour on which all is seen, such as black"
            f" (`{CHANGE}black`), or grey if there are black pictures too. Received: 'white: 24 of"
            " 24 pictures become blank, such as circle/0.png'"
        )

    @pytest.mark.parametrize("background", ["black", "grey", "#0080ff"])
    def test_another_colour_shows_them(self, here: Path, background: str) -> None:
        write(here / "photos", icons(12))
        rows = self.stages(here, background)
        assert {row["status"] for row in rows.values()} == {"ok"}
        status, _, errors = graft(here, "split")
        assert status == 0 and "blank" not in errors
        assert set(read_table(Path("data/split.csv"))["part"]) == {"train", "valid", "test"}

    def test_of_icons_of_both_kinds_grey_shows_all(self, here: Path) -> None:
        black = icons(6, colour=(0, 0, 0))
        write(
            here / "photos", icons(6) | {name[:-5] + f"b{name[-5:]}": black[name] for name in black}
        )
        self.stages(here)
        assert "12 of 24 pictures become blank" in complaint(here, "split")
        self.stages(here, "black")
        said = complaint(here, "split")
        assert f"such as white (`{CHANGE}white`), or grey if there are white pictures too" in said
        self.stages(here, "grey")
        run("split")

    def test_a_few_are_left_out_with_a_warning(self, here: Path) -> None:
        photos = {name.replace("/", "/p"): data for name, data in classes(COUNTS).items()}
        write(here / "photos", photos | icons(1))
        self.stages(here)
        status, _, errors = graft(here, "split")
        assert status == 0
        assert errors.splitlines()[0] == (
            "split: warning: 2 of 62 pictures become blank and are left out, such as"
            " 'circle/0.png': what is not transparent in them is white, as image.background is."
            " They are seen on black, or on grey if there are black pictures too:"
            f" `{CHANGE}black`"
        )
        warnings = read_json(Path("data/warnings/split.json"))
        assert warnings[0]["command"] == f"{CHANGE}black"
        parts = read_table(Path("data/split.csv")).set_index("path")["part"]
        assert parts["circle/0.png"] == f"left out: {BLANK}white"
