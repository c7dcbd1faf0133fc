"""Copies that are mirrored, turned or enlarged: found, named, and kept in one part."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from graft.common.tables import read_json, read_table
from graft.registration.changes import Changed, find_changed, find_gap
from graft.registration.middles import FIELDS, grey_fields, middle_extents
from graft.registration.warps import name_change, refine_warps, sample
from images import Capture, change, check, check_cores, encoded, run, write

LIMIT = 0.2
BICUBIC = Image.Resampling.BICUBIC


def photo(seed: int, width: int = 96, height: int = 96) -> Image.Image:
    """A picture with coarse and fine forms of its own, as photos have."""
    draw = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3))
    for side in (4, 9, 20, 40):
        noise = draw.integers(0, 256, (side, side, 3)).astype(np.uint8)
        layer = Image.fromarray(noise).resize((width, height), BICUBIC)
        pixels += (np.asarray(layer, float) - 128) / (side / 4) ** 0.8
    return Image.fromarray((128 + 0.6 * pixels).clip(0, 255).astype(np.uint8))


def changed(image: Image.Image, mirrored: bool, angle: float, zoom: float) -> Image.Image:
    """As programs make more pictures of few: corners become black."""
    image = (ImageOps.mirror(image) if mirrored else image).rotate(angle, BICUBIC)
    width, height = image.size
    left, top = (width - width / zoom) / 2, (height - height / zoom) / 2
    return image.resize((width, height), BICUBIC, (left, top, width - left, height - top))


def find(pictures: list[Image.Image], side: int = 64, fit: str = "stretch") -> Changed:
    """The pairs among pictures that are made square by stretching or cropping."""
    stored = []
    for picture in pictures:
        shown = ImageOps.fit(picture, (side, side)) if fit == "crop" else picture
        if fit == "pad":
            shown = ImageOps.pad(picture, (side, side), color="white")
        stored.append(np.asarray(shown.resize((side, side), BICUBIC)))
    width, height = np.array([picture.size for picture in pictures], float).T
    extents = middle_extents(width, height, fit)
    return find_changed(np.stack(stored), extents, np.arange(len(pictures)), LIMIT)


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.booleans(),
    st.integers(-180, 180),
    st.floats(1, 1.45, allow_nan=False),
)
def test_a_copy_is_found_whatever_was_done(
    seed: int, mirrored: bool, angle: int, zoom: float
) -> None:
    others = [photo(seed + 1 + number) for number in range(8)]
    original = photo(seed)
    found = find([*others, original, changed(original, mirrored, angle, zoom)])
    assert found.pairs.tolist() == [[8, 9]] and found.differences[0] <= LIMIT
    assert ("mirrored" in found.changes[0]) == mirrored
    if 5 < abs(angle) < 175:
        turn = int(found.changes[0].partition("turned by ")[2].partition("°")[0])
        assert abs(turn - abs(angle)) <= 2
    if zoom > 1.1:
        assert "enlarged by" in found.changes[0]


def test_pictures_that_are_no_copies_are_none() -> None:
    assert len(find([photo(seed, 48, 48) for seed in range(400)], 32).pairs) == 0


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(120, 80), (70, 100)])
def test_the_proportions_of_a_photo_do_not_matter(fit: str, size: tuple[int, int]) -> None:
    one, two = photo(1, *size), photo(2, *size)
    copies = [ImageOps.mirror(one), two.transpose(Image.Transpose.ROTATE_90), one.rotate(30)]
    found = find([one, two, *copies], fit=fit)
    pairs = dict(zip(map(tuple, found.pairs.tolist()), found.changes, strict=True))
    assert (pairs[0, 2], pairs[1, 3], pairs[0, 4]) == ("mirrored", "turned by 90°", "turned by 30°")
    # What is found besides are copies of one photo.
    assert set(pairs) <= {(0, 2), (1, 3), (0, 4), (2, 4)}


def test_colour_counts() -> None:
    grey = np.asarray(photo(3).convert("L"), float)[..., None] / 255
    red, blue = (grey * colour for colour in ([255, 60, 60], [60, 60, 255]))
    pictures = [Image.fromarray(pixels.astype(np.uint8)) for pixels in (red, blue, red[:, ::-1])]
    assert find(pictures).pairs.tolist() == [[0, 2]]


@pytest.mark.parametrize("count", [0, 2])
def test_pairs_may_be_none(count: int) -> None:
    """Of many pictures it happens that no pair fits so well that it is laid on each other."""
    pictures = np.stack([np.asarray(photo(7, 24, 24), np.float32)] * 2)[:count]
    warps = np.tile(np.eye(2, 3), (count, 1, 1))
    assert sample(pictures, warps, 20).shape == (count, 20, 20, 3)
    grey = pictures.mean(3)
    found, apart = refine_warps(grey, grey, warps, 2)
    assert found.shape == (count, 2, 3) and apart.shape == (count,)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_nothing_to_see_is_no_copy(count: int) -> None:
    draw = np.random.default_rng(1)
    flat = (128 + draw.normal(0, 1, (count, 32, 32, 3))).astype(np.uint8)
    found = find_changed(flat, np.ones((count, 2)), np.arange(count), LIMIT)
    assert found.pairs.shape == (0, 2) and found.changes == []


def test_what_is_known_is_not_compared() -> None:
    pixels = np.stack([np.asarray(photo(5)), np.asarray(photo(5))[:, ::-1]])
    for sets, count in (([0, 0], 0), ([0, 1], 1)):
        assert len(find_changed(pixels, np.ones((2, 2)), np.array(sets), LIMIT).pairs) == count


def test_where_only_equal_pictures_are_one_none_is_changed() -> None:
    pixels = np.stack([np.asarray(photo(5)), np.asarray(photo(5))[:, ::-1]])
    assert len(find_changed(pixels, np.ones((2, 2)), np.arange(2), 0.0).pairs) == 0


def test_fields_are_means_of_the_middle() -> None:
    pixels = np.asarray(photo(6, 96, 96))[None]
    grey = np.asarray(Image.fromarray(pixels[0]).convert("L"))
    for extent in ((1, 1), (0.5, 1), (0.75, 0.6)):
        box = [48 - 48 * extent[0], 48 - 48 * extent[1], 48 + 48 * extent[0], 48 + 48 * extent[1]]
        image = Image.fromarray(grey).resize((FIELDS, FIELDS), Image.Resampling.BOX, box)
        np.testing.assert_array_equal(grey_fields(pixels, np.array([extent]))[0], image)


@pytest.mark.parametrize(
    "differences, limit",
    [([], 0.2), ([0.1], 0.2), ([0.1, 0.25], 0.2), ([0.1, 0.25, 0.25], 0.2 * 2**-0.5)],
)
def test_the_limit_is_where_few_pairs_are_above(differences: list[float], limit: float) -> None:
    assert find_gap(np.array(differences), 0.2) == pytest.approx(limit)


def test_changes_have_names() -> None:
    def name(linear: list[list[float]]) -> str:
        return name_change(np.concatenate([np.array(linear), np.zeros((2, 1))], 1))

    assert name([[1, 0], [0, 1]]) == "near"
    assert name([[-1, 0], [0, 1]]) == "mirrored"
    assert name([[1, 0], [0, -1]]) == "mirrored and turned by 180°"
    assert name([[0, -1], [1, 0]]) == name([[0, 1], [-1, 0]]) == "turned by 90°"
    assert name([[0.8, 0], [0, 0.8]]) == name([[1.25, 0], [0, 1.25]]) == "enlarged by 25 %"


def test_any_number_of_cores_finds_the_same(tmp_path: Path) -> None:
    pictures = [photo(seed, 64, 64) for seed in range(300)]
    pictures += [
        changed(one, seed % 2 == 0, 7 * seed, 1.2) for seed, one in enumerate(pictures[:60])
    ]
    np.save(tmp_path / "pixels.npy", np.stack([np.asarray(one) for one in pictures]))
    code = """
    import numpy as np
    from graft.registration.changes import find_changed
    pixels = np.load("pixels.npy")
    found = find_changed(pixels, np.ones((len(pixels), 2)), np.arange(len(pixels)), 0.2)
    assert len(found.pairs) == 60
    np.savez("found.npz", found.pairs, found.differences.round(6))
    """
    check_cores(tmp_path, code, "found.npz")


# What a program does that makes more pictures of few.
AUGMENTED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.rotate(20, BICUBIC),
    "enlarged": lambda image: changed(image, False, 0, 1.3),
}


def build(folder: Path, files: dict[str, bytes]) -> dict[str, str]:
    """Runs all stages up to the warnings: the part of each path."""
    write(folder / "photos", files)
    check()
    for stage in ("duplicates", "split", "warnings"):
        run(stage)
    table = read_table(Path("data/split.csv"))
    return dict(zip(table["path"], table["part"], strict=True))


def said() -> list[str]:
    """The warnings that speak of changed copies."""
    found = read_json(Path("reports/warnings.json"))
    return [row["text"] for row in found if "mirrored, turned or enlarged" in row["text"]]


def test_changed_copies_stay_in_one_part_and_the_run_says_so(here: Path, capsys: Capture) -> None:
    files, families = {}, []
    for number in range(30):
        image, name = photo(number), f"{'ab'[number % 2]}/{number}"
        own = {f"{name}.png": encoded(image)}
        for kind, way in AUGMENTED.items():
            own[f"{name} {kind}.jpg"] = encoded(way(image), "JPEG", quality=90)
        families.append([*own])
        files |= own
    part = build(here, files)
    assert all(len({part[path] for path in own}) == 1 for own in families)
    (text,) = said()
    assert text.startswith("90 of 120 pictures are mirrored, turned or enlarged copies of others")
    assert "dataset.group" in text and f"duplicates: warning: {text}" in capsys.readouterr().err
    found = read_table(Path("data/duplicates/changed.csv"))
    assert list(found.columns) == ["first", "second", "difference", "change"]
    assert "mirrored" in set(found["change"]) and (found["difference"].astype(float) <= LIMIT).all()
    pairs = read_table(Path("data/duplicates/pairs.csv"))
    assert len(pairs) == 8 and set(pairs["kind"]) <= set(found["change"])


def test_few_changed_copies_are_no_warning(here: Path) -> None:
    files = {f"{'ab'[n % 2]}/{n}.png": encoded(photo(n)) for n in range(60)}
    part = build(here, files | {"a/copy.png": encoded(photo(4).rotate(10, BICUBIC))})
    assert part["a/copy.png"] == part["a/4.png"] and said() == []


def test_what_is_drawn_alike_stays_apart(here: Path) -> None:
    files = {}
    for number in range(60):
        image = Image.new("RGB", (64, 64), "white")
        draw = ImageDraw.Draw(image)
        if number % 2:
            draw.polygon([(32, 10), (48, 50), (32, 42), (16, 50)], "black")
        else:
            draw.polygon([(14, 20), (50, 20), (50, 36), (30, 36), (30, 52), (14, 52)], "black")
        turned = image.rotate(6 * number, BICUBIC, fillcolor="white")
        files[f"{'ab'[number % 2]}/{number}.png"] = encoded(turned)
    assert set(build(here, files).values()) == {"train", "valid", "test"}
    (text,) = said()
    assert "count as different" in text and "dataset.group" in text
    assert len(read_table(Path("data/duplicates/changed.csv"))) == 0


def test_a_difference_of_0_finds_no_changed_copy(here: Path) -> None:
    change(here, {"duplicates.difference": 0.0})
    files = {f"{'ab'[n % 2]}/{n}.png": encoded(photo(n)) for n in range(20)}
    build(here, files | {"a/turned.jpg": encoded(photo(0).rotate(10), "JPEG")})
    assert len(read_table(Path("data/duplicates/changed.csv"))) == 0
