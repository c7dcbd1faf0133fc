"""Which pictures are one: the rule, the stage, and leaks that are planted on purpose."""

import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graft.common.arrays import Joined
from graft.common.classes import LEFT_OUT, PARTS
from graft.common.tables import read_table
from graft.copies import similarity
from graft.copies.similarity import contrast_difference, field_means, find_near, join_pairs
from graft.images.decoding import decode
from images import change, check, encoded, run, write


def scene(seed: int, side: int = 96) -> Image.Image:
    """A picture with forms of its own, as photos have."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    pixels = np.zeros((side, side, 3)) + draw.uniform(60, 190, 3)
    for _ in range(12):
        near = (x - draw.uniform()) ** 2 + (y - draw.uniform()) ** 2
        pixels += draw.normal(0, 60, 3) * np.exp(-near / draw.uniform(0.002, 0.05))[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> bytes:
    return encoded(image, "JPEG", quality=quality)


def scaled(image: Image.Image, factor: float) -> Image.Image:
    side = round(image.width * factor)
    return image.resize((side, side), Image.Resampling.LANCZOS)


# What people and programs do to a picture that stays the same picture.
COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "copied": lambda image: encoded(image),
    "png again": lambda image: encoded(image, compress_level=1),
    "bmp": lambda image: encoded(image, "BMP"),
    "webp": lambda image: encoded(image, "WEBP", quality=80),
    "jpeg 90": lambda image: jpeg(image, 90),
    "jpeg 50": lambda image: jpeg(image, 50),
    "half": lambda image: encoded(scaled(image, 0.5)),
    "three quarters": lambda image: jpeg(scaled(image, 0.75), 90),
    "twice": lambda image: encoded(scaled(image, 2)),
    "twice and jpeg": lambda image: jpeg(scaled(image, 2), 75),
    "jpeg of a jpeg": lambda image: jpeg(Image.open(io.BytesIO(jpeg(image, 80))), 60),
}


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.lists(st.integers(0, 63), max_size=40))
def test_every_near_pair_of_hashes_is_a_candidate_once(drawn: list[int], flips: list[int]) -> None:
    # Unrelated hashes hardly ever come near, so some are made of others.
    values = list(drawn)
    for number, bit in enumerate(flips):
        if values:
            values.append(values[-1 - number % len(values)] ^ (1 << bit))
    hashes = np.array(values, np.uint64)
    found = [tuple(pair) for block in similarity.near_hashes(hashes) for pair in block.tolist()]
    pairs = itertools.combinations(range(len(values)), 2)
    expected = [
        (i, j) for i, j in pairs if (values[i] ^ values[j]).bit_count() <= similarity.NEAR_BITS
    ]
    assert sorted(found) == expected


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_what_is_connected_is_one_set(pairs: list[tuple[int, int]]) -> None:
    sets = join_pairs(np.array(pairs, np.int64).reshape(-1, 2), 20)
    reached = {number: {number} for number in range(20)}
    for _ in range(20):
        for i, j in pairs:
            reached[i] = reached[j] = reached[i] | reached[j]
    for i, j in itertools.product(range(20), range(20)):
        assert (sets[i] == sets[j]) == (j in reached[i] or i in reached[j])


@pytest.mark.parametrize("side", [8, 15, 16, 33, 64])
def test_a_picture_is_described_by_the_means_of_its_fields(side: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (2, side, side, 3), np.uint8)
    fields = field_means(pixels)
    count = min(16, side)
    assert fields.shape == (2, count * count, 3) and fields.dtype == np.float32
    edges = [n * side // count for n in range(count + 1)]
    for n in range(count * count):
        rows = slice(edges[n // count], edges[n // count + 1])
        columns = slice(edges[n % count], edges[n % count + 1])
        np.testing.assert_allclose(fields[:, n], pixels[:, rows, columns].mean((1, 2)), rtol=1e-4)


def test_differences_are_shares_of_the_contrast() -> None:
    one, other = (np.asarray(scene(seed))[None] for seed in (1, 2))
    a, b = field_means(one), field_means(other)
    assert contrast_difference(a, a) == 0
    assert contrast_difference(a, b) == contrast_difference(b, a)
    assert 0.8 < contrast_difference(a, b)[0] < 3
    # Twice the contrast is twice the distance: what counts is what one sees.
    assert contrast_difference(2 * a, 2 * b) == pytest.approx(contrast_difference(a, b), rel=1e-5)
    # In an empty picture, a grey value more or less is noise.
    flat = np.full((1, 256, 3), 128, np.float32)
    assert contrast_difference(flat, flat + 1)[0] < 0.2 < contrast_difference(flat, flat + 8)[0]


@pytest.mark.parametrize("way", COPIES)
def test_copies_are_found_and_other_pictures_are_not(way: str) -> None:
    scenes = [scene(seed) for seed in range(60)]
    images = [decode(encoded(image), 32) for image in scenes]
    images += [decode(COPIES[way](image), 32) for image in scenes[:30]]
    hashes = np.array([int(image.phash, 16) for image in images], np.uint64)
    pixels = np.stack([image.pixels for image in images])
    sets, pairs, differences = find_near(hashes, pixels, 0.2)
    assert sorted(map(tuple, pairs.tolist())) == [(n, 60 + n) for n in range(30)]
    assert (differences <= 0.2).all() and len(set(sets)) == 60


def test_pictures_of_one_kind_are_not_one_picture() -> None:
    # The same thing a little further to the right: perceptual hashes nearly agree, pixels do not.
    frames = []
    for shift in range(0, 24, 6):
        image = Image.new("RGB", (96, 96), (120, 120, 120))
        image.paste((230, 200, 180), (20 + shift, 20, 60 + shift, 80))
        frames.append(decode(encoded(image), 32))
    pixels = np.stack([frame.pixels for frame in frames])
    sets, pairs, _ = find_near(np.zeros(len(frames), np.uint64), pixels, 0.2)
    assert len(pairs) == 0 and len(set(sets)) == len(frames)


def test_a_thousand_copies_make_a_pair_fewer_than_they_are() -> None:
    read = []

    class Pixels(Joined):
        def __getitem__(self, which: np.ndarray) -> np.ndarray:
            read.append(len(which))
            return super().__getitem__(which)

    pixels = Pixels([np.repeat(np.asarray(scene(1, 32))[None], 1000, 0)])
    sets, pairs, _ = find_near(np.full(1000, 7, np.uint64), pixels, 0.0)
    assert len(set(sets)) == 1
    # The pairs that were compared before the sets were known are few blocks' worth.
    assert len(pairs) < 5000 and sum(read) < 5000


class TestStage:
    """From files to clusters, pairs and a split without leaks."""

    @pytest.fixture(autouse=True)
    def many_may_be_bad(self, here: Path) -> None:
        change(here, {"dataset.max_bad": 0.5})

    @staticmethod
    def build() -> tuple[dict[str, str], dict[str, str]]:
        """Runs all stages up to the split: the cluster and the part of each path."""
        rows = check()
        run("duplicates")
        run("split")
        table = read_table(Path("data/duplicates/clusters.csv"))
        clusters = dict(zip(table["id"], table["cluster"], strict=True))
        near = {path: clusters.get(row["id"], row["id"]) for path, row in rows.items()}
        table = read_table(Path("data/split.csv"))
        return near, dict(zip(table["path"], table["part"], strict=True))

    def test_copies_stay_in_one_part(self, here: Path) -> None:
        files = {}
        for number in range(44):
            way = list(COPIES)[number % len(COPIES)]
            label = "ab"[number % 2]
            files[f"{label}/{number}.img"] = encoded(scene(number))
            files[f"{label}/{number} {way}.img"] = COPIES[way](scene(number))
        write(here / "photos", files)
        cluster, part = self.build()
        assert set(part.values()) == set(PARTS)
        for number in range(44):
            one, other = (path for path in files if re.match(rf"./{number}[ .]", path))
            assert (cluster[one], part[one]) == (cluster[other], part[other])
        assert len(set(cluster.values())) == 44

    def test_ten_more_images_leave_every_other_in_its_part(self, here: Path) -> None:
        files = {f"{'ab'[n % 2]}/{n}.png": encoded(scene(n)) for n in range(60)}
        files |= {f"a/{n} small.png": encoded(scaled(scene(n), 0.5)) for n in range(0, 20, 2)}
        write(here / "photos", files)
        _, before = self.build()
        assert set(before.values()) == set(PARTS)
        write(here / "photos", {f"a/new {n}.png": encoded(scene(100 + n)) for n in range(10)})
        _, after = self.build()
        assert len(after) == len(before) + 10
        assert {path: after[path] for path in before} == before

    @pytest.mark.parametrize("way", COPIES)
    def test_leaks_planted_in_a_divided_data_set_are_found(self, here: Path, way: str) -> None:
        files = {
            f"{part}/{label}/{number}.png": encoded(scene(1000 * i + 100 * j + number))
            for i, part in enumerate(("train", "valid", "test"))
            for j, label in enumerate("ab")
            for number in range(6)
        }
        leaks = {
            f"train/{label}/leak {n}.img": COPIES[way](scene(2000 + 100 * j + n))
            for j, label in enumerate("ab")
            for n in range(3)
        }
        write(here / "photos", files | leaks)
        _, part = self.build()
        expected = {path: path.split("/")[0] for path in files}
        expected |= dict.fromkeys(leaks, f"{LEFT_OUT}the same picture or group is in test")
        assert part == expected

    def test_pairs_are_shown_two_labels_first(self, here: Path) -> None:
        files = {f"{'ab'[n % 2]}/{n}.png": encoded(scene(n)) for n in range(20)}
        files["b/of another class.jpg"] = jpeg(scene(0), 80)
        files["a/copy.png"] = files["a/2.png"]
        files["a/small.png"] = encoded(scaled(scene(4), 0.5))
        write(here / "photos", files)
        _, part = self.build()
        pairs = read_table(Path("data/duplicates/pairs.csv"))
        columns = ["kind", "first", "first_label", "second", "second_label", "difference"]
        assert list(pairs.columns) == columns
        assert pairs[["kind", "first", "second"]].to_numpy().tolist() == [
            ["two labels", "a/0.png", "b/of another class.jpg"],
            ["near", "a/4.png", "a/small.png"],
            ["exact", "a/2.png", "a/copy.png"],
        ]
        assert (pairs["first_label"][0], pairs["second_label"][0]) == ("a", "b")
        assert 0 < float(pairs["difference"][1]) < 0.2 and float(pairs["difference"][2]) == 0
        pixels = np.load("data/duplicates/pairs.npy")
        assert (pixels.shape, pixels.dtype) == ((3, 2, 32, 32, 3), np.uint8)
        assert (pixels[2, 0] == pixels[2, 1]).all()
        assert (pixels[0, 0] == decode(files["a/0.png"], 32).pixels).all()
        assert part["a/0.png"] == part["b/of another class.jpg"]
        assert set(part.values()) == set(PARTS)

    def test_a_difference_of_0_joins_equal_pixels_alone(self, here: Path) -> None:
        files = {f"{'ab'[n % 2]}/{n}.png": encoded(scene(n, 32)) for n in range(20)}
        files["a/0.bmp"] = encoded(scene(0, 32), "BMP")
        files["a/2.jpg"] = jpeg(scene(2, 32), 80)
        write(here / "photos", files)
        change(here, {"duplicates.difference": 0})
        cluster, _ = self.build()
        assert cluster["a/0.png"] == cluster["a/0.bmp"]
        assert cluster["a/2.png"] != cluster["a/2.jpg"]

    def test_nothing_near_makes_empty_tables(self, here: Path) -> None:
        write(here / "photos", {f"{'ab'[n % 2]}/{n}.png": encoded(scene(n)) for n in range(20)})
        self.build()
        for name in ("clusters", "pairs"):
            assert len(read_table(Path(f"data/duplicates/{name}.csv"))) == 0
        assert np.load("data/duplicates/pairs.npy").shape == (0, 2, 32, 32, 3)
