"""Sets of near pictures that would swallow a data set: what they are, and how they are divided."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graft.common.classes import PARTS
from graft.common.tables import read_table
from graft.copies import similarity
from graft.copies.forest import Forest, grow_forest
from graft.copies.large import CHAIN, LargeSet, copy_difference, examine_set, find_large
from graft.copies.similarity import contrast_difference, field_means, find_near, join_pairs
from images import Capture, change, check, complaint, encoded, graft, run, write

SIDE = 64


def part_in_view(seed: int, n: int, noise: float, light: float, shift: float) -> np.ndarray:
    """Photos of one part by a fixed camera, every second with a dark spot: uint8 (n, 64, 64, 3).

    Args:
        seed: of what differs.
        n: how many.
        noise: grey values by which pixels differ.
        light: fraction by which the light differs.
        shift: the part is moved by this many pixels at most.
    """
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    pictures = []
    for number in range(n):
        across, down = draw.uniform(-shift, shift, 2)
        grey = np.full((SIDE, SIDE), 70.0)
        # Soft edges move by fractions of a pixel.
        for left, top, width, height, tone in ((32, 34, 20, 18, 95), (24, 27, 4, 3, -90)):
            inside = 1 / (1 + np.exp(np.abs(x - left - across) - width))
            grey += tone * inside / (1 + np.exp(np.abs(y - top - down) - height))
        if number % 2:
            at = draw.uniform(20, 44, 2)
            grey -= 60 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 8)
        grey *= 1 + draw.normal(0, light)
        pixels = grey[..., None] + draw.normal(0, noise, (SIDE, SIDE, 3))
        pictures.append(pixels.clip(0, 255).astype(np.uint8))
    return np.stack(pictures)


def film(n: int) -> np.ndarray:
    """A slow pan over a landscape: uint8 (n, 64, 64, 3)."""
    draw = np.random.default_rng(3)
    y, x = np.mgrid[0:SIDE, 0 : SIDE + n]
    land = np.full((SIDE, SIDE + n), 120.0)
    for _ in range(60):
        near = (x - draw.uniform(0, SIDE + n)) ** 2 + (y - draw.uniform(0, SIDE)) ** 2
        land += draw.normal(0, 50) * np.exp(-near / draw.uniform(50, 300))
    frames = np.stack([land[:, start : start + SIDE] for start in range(n)])[..., None]
    return (frames + draw.normal(0, 2, (*frames.shape[:3], 3))).clip(0, 255).astype(np.uint8)


def examine(pixels: np.ndarray, labels: list[str]) -> LargeSet:
    """What becomes of pictures that are one set."""
    n = len(pixels)
    same = np.zeros(n, np.uint64)
    return examine_set(np.arange(n), same, pixels, np.array(labels, object), 0.3)


def mixed(n: int) -> list[str]:
    return ["whole" if number % 2 == 0 else "spotted" for number in range(n)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.floats(0.05, 1.5))
def test_a_forest_has_the_sets_of_every_limit(seed: int, n: int, limit: float) -> None:
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (5, 8, 8, 3))[draw.integers(0, 5, n)]
    pixels = (pixels + draw.normal(0, 20, pixels.shape)).clip(0, 255).astype(np.uint8)
    hashes = draw.integers(0, 2**8, n).astype(np.uint64) * np.uint64(2**20 + 1)
    forest = grow_forest(hashes, pixels, limit)
    i, j = np.triu_indices(n, 1)
    fields = field_means(pixels)
    apart = contrast_difference(fields[i], fields[j])
    assert math.isclose(forest.near, (apart <= limit).mean() if n > 1 else 1, abs_tol=0.02)
    apart[np.bitwise_count(hashes[i] ^ hashes[j]) > similarity.NEAR_BITS] = np.inf
    for level in (limit, limit / 2, limit / 4):
        expected = join_pairs(np.stack([i, j], 1)[apart <= level], n)
        found = join_pairs(forest.pairs[forest.differences <= level], n)
        assert list(found) == list(expected)


def test_the_blocks_of_a_forest_miss_no_pair() -> None:
    # Equal pictures, two of them in blocks far apart.
    draw = np.random.default_rng(1)
    pixels = draw.integers(0, 256, (2100, 8, 8, 3), np.uint8)
    pixels[2050] = pixels[3]
    forest = grow_forest(np.zeros(2100, np.uint64), pixels, 0.01)
    assert isinstance(forest, Forest)
    assert forest.pairs.tolist() == [[3, 2050]] and list(forest.differences) == [0]


def test_a_set_is_large_in_the_data_set_or_in_a_class() -> None:
    labels = np.array(["a"] * 160 + ["b"] * 15 + ["c"] * 25, object)
    sets = np.arange(200)
    sets[:20] = 0
    assert list(find_large(sets, labels)) == []
    sets[:21] = 0
    assert list(find_large(sets, labels)) == [0]
    sets[160:169], sets[175:187] = 160, 175  # few pictures, and not half of a class
    assert list(find_large(sets, labels)) == [0]
    sets[160:170], sets[175:188] = 160, 175
    assert list(find_large(sets, labels)) == [0, 160, 175]
    assert list(find_large(sets, np.full(200, "", object))) == [0]


def test_pictures_of_a_scene_are_divided_if_their_labels_are_mixed() -> None:
    pixels = part_in_view(1, 120, noise=4, light=0.05, shift=2)
    found = examine(pixels, mixed(120))
    assert found.divided
    assert found.copies <= found.level < 0.3
    assert np.bincount(found.pieces).max() <= 12
    # Pictures no more different than that stay together.
    fields = field_means(pixels)
    i, j = np.triu_indices(120, 1)
    near = contrast_difference(fields[i], fields[j]) <= found.level - 0.005
    assert (found.pieces[i] == found.pieces[j])[near].all()
    assert (found.pieces[found.pairs[:, 0]] == found.pieces[found.pairs[:, 1]]).all()


@pytest.mark.parametrize("labels", [["whole"] * 120, ["spotted"] * 2 + ["whole"] * 118])
def test_a_set_of_one_label_is_kept_with_a_remedy(labels: list[str]) -> None:
    found = examine(part_in_view(1, 120, noise=4, light=0.05, shift=2), labels)
    assert not found.divided and len(set(found.pieces)) == 1
    assert found.near > 0.3 and 0 < found.level < 0.3


def test_a_set_in_which_copies_would_be_parted_is_kept() -> None:
    # The noise alone differs, by less than JPEG changes a picture.
    found = examine(part_in_view(1, 60, noise=3, light=0, shift=0), mixed(60))
    assert not found.divided and found.level < found.copies
    assert found.near > 0.9


def test_a_film_is_a_chain_and_is_kept() -> None:
    found = examine(film(150), mixed(150))
    assert not found.divided and len(set(found.pieces)) == 1
    assert found.near < CHAIN


def test_what_has_no_difference_has_no_level() -> None:
    pixels = np.repeat(film(1), 30, 0)
    found = examine(pixels, mixed(30))
    assert math.isnan(found.level) and not found.divided


def test_copies_in_a_divided_set_stay_together() -> None:
    pixels = part_in_view(2, 120, noise=4, light=0.05, shift=2)
    halves = [Image.fromarray(one).resize((32, 32)).resize((64, 64)) for one in pixels[:20]]
    copies = np.stack([np.asarray(half) for half in halves])
    found = examine(np.concatenate([pixels, copies]), [*mixed(120), *mixed(20)])
    assert found.divided
    assert list(found.pieces[:20]) == list(found.pieces[120:])
    assert copy_difference(pixels) < 0.1


class TestStage:
    """From files to a split that can be used, or a message that says how."""

    @pytest.fixture(autouse=True)
    def side(self, here: Path) -> None:
        change(here, {"image.side": SIDE})

    @staticmethod
    def save(here: Path, pixels: np.ndarray) -> None:
        names = [f"{label}/{number}.png" for number, label in enumerate(mixed(len(pixels)))]
        write(here / "photos", dict(zip(names, map(encoded, pixels), strict=True)))

    @staticmethod
    def used() -> set[tuple[str, str]]:
        table = read_table(Path("data/split.csv"))
        assert table["part"].isin(PARTS).all()
        return set(zip(table["label"], table["part"], strict=True))

    def test_a_fixed_camera_leaves_a_split_with_all_classes_in_all_parts(
        self, here: Path, capsys: Capture
    ) -> None:
        self.save(here, part_in_view(1, 120, noise=4, light=0.05, shift=1))
        check()
        run("duplicates")
        large = read_table(Path("data/duplicates/large.csv"))
        assert list(large) == ["path", "pictures", "of", "near", "level", "copies", "cluster"]
        assert "with mixed labels: pictures of one scene" in capsys.readouterr().err
        run("split")
        assert self.used() == {(label, part) for label in mixed(2) for part in PARTS}

    def test_a_set_that_cannot_be_divided_is_named_with_a_remedy(self, here: Path) -> None:
        self.save(here, part_in_view(1, 60, noise=3, light=0, shift=0))
        check()
        status, _, errors = graft(here, "duplicates")
        assert status == 0
        (large,) = read_table(Path("data/duplicates/large.csv")).to_dict("records")
        assert errors.startswith(f"duplicates: warning: {large['pictures']} of 60 pictures")
        assert f"duplicates.difference: {large['level']} divides them" in errors
        said = complaint(here, "split")
        assert f"holds {large['pictures']} of 60 images" in said
        assert f"(duplicates.difference: {large['level']} divides them)" in said
        change(here, {"duplicates.difference": float(large["level"])})
        run("duplicates")
        run("split")
        assert self.used() == {(label, part) for label in mixed(2) for part in PARTS}
        assert len(read_table(Path("data/duplicates/large.csv"))) == 0


def test_where_no_limit_divides_a_set_both_messages_say_so(here: Path) -> None:
    """Sheets of paper, of which nothing tells one from another."""
    for number in range(16):
        sheet = np.full((40 + number, 40, 3), 250, np.uint8)
        write(here / "photos", {f"{'ab'[number % 2]}/{number}.png": encoded(sheet)})
    check()
    _, _, errors = graft(here, "duplicates")
    assert "no duplicates.difference tells them apart" in errors
    assert "(duplicates.difference: none divides them)" in complaint(here, "split")


def test_the_remedy_is_what_the_search_for_copies_finds() -> None:
    pixels = part_in_view(4, 80, noise=4, light=0.05, shift=2)
    hashes = np.zeros(80, np.uint64)
    sets, _, _ = find_near(hashes, pixels, 0.3)
    labels = np.full(80, "one", object)
    (number, *_) = find_large(sets, labels)
    found = examine_set(np.flatnonzero(sets == number), hashes, pixels, labels, 0.3)
    lower, _, _ = find_near(hashes, pixels, found.level)
    assert np.bincount(lower[found.members]).max() <= 9
