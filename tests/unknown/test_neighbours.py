"""Distances to the photos that a model knows, and the file that has them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.common.errors import UserError
from graft.unknown.neighbours import (
    beside,
    choose_known,
    find_limit,
    learn_known,
    read_known,
    share_beyond,
    write_known,
)
from images import check_cores
from trainings import describe

SEEDS = st.integers(0, 2**31)


def drawn(seed: int, n: int, width: int) -> np.ndarray:
    """Features as a network with ReLU has them: float32 (n, width), many of them 0."""
    normal = np.random.default_rng(seed).normal(size=(n, width))
    return np.maximum(normal, 0).astype(np.float32)


def names(n: int) -> tuple[str, ...]:
    """Ids whose order is not that of their numbers."""
    return tuple(f"{7919 * i % 100_003:06}" for i in range(n))


@given(SEEDS, st.integers(1, 40), st.integers(1, 60), st.integers(1, 6))
def test_distances_are_those_of_the_definition(seed: int, n: int, width: int, count: int) -> None:
    """1 less the cosine to the fifth nearest; also with more features than photos."""
    features, labels = drawn(seed, n, width), np.arange(n) % count
    known = learn_known(features, labels)
    smallest = np.bincount(labels)[: min(n, count)].min()
    assert known.neighbours == min(5, smallest)
    photos = drawn(seed + 1, 9, width).astype(float)
    found = known.distances_of(photos)
    for photo, distance in zip(photos, found, strict=True):
        lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(photo)
        cosines = features.astype(float) @ photo / np.where(lengths > 0, lengths, 1)
        expected = 1 - np.sort(cosines)[-known.neighbours]
        assert distance == pytest.approx(expected, abs=2e-3)  # the file has 16 bits
    assert ((found >= 0) & (found <= 2)).all()


@given(SEEDS, st.floats(1e-3, 1e3))
def test_the_scale_of_a_network_changes_nothing(seed: int, scale: float) -> None:
    features, labels, photos = drawn(seed, 30, 20), np.arange(30) % 3, drawn(seed + 1, 5, 20)
    found = learn_known(features, labels).distances_of(photos)
    scaled = learn_known(np.float32(scale) * features, labels)
    assert scaled.distances_of(np.float32(scale) * photos) == pytest.approx(found, abs=1e-3)


@given(SEEDS, st.integers(1, 300), st.integers(1, 5), st.sampled_from([8, 60_000, 5_000_000]))
def test_the_order_of_photos_does_not_matter(seed: int, n: int, count: int, width: int) -> None:
    """And the classes are as even as they can be, where not all photos are kept."""
    generator = np.random.default_rng(seed)
    ids, labels = np.array(names(n)), generator.integers(0, count, n)
    order = generator.permutation(n)
    chosen = choose_known(tuple(ids), labels, width)
    again = order[choose_known(tuple(ids[order]), labels[order], width)]
    assert chosen.tolist() == again.tolist()
    assert len(chosen) == len(set(chosen)) == min(n, max(min(1000, 4_000_000 // width), 1))
    kept, whole = np.bincount(labels[chosen], minlength=count), np.bincount(labels, minlength=count)
    if len(chosen) >= count:
        assert (kept[whole > 0] > 0).all()
        assert (kept[kept < whole] >= kept.max() - 1).all()


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 60)), min_size=1, max_size=200))
def test_the_limit_is_the_smallest_that_keeps_its_share(photos: list[tuple[float, int]]) -> None:
    """Each unit has the same weight, and one that is still to come is beyond it."""
    distances, units = (np.array(column) for column in zip(*photos, strict=True))
    limit, beyond = find_limit(distances, units), share_beyond(len(set(units)))
    assert limit in distances

    def kept(by: np.ndarray) -> float:
        return np.mean([by[units == unit].mean() for unit in set(units)] + [0])

    assert kept(distances <= limit) >= 1 - beyond - 1e-9
    assert kept(distances < limit) < 1 - beyond or limit == distances.min()
    assert beyond == pytest.approx(max(0.05, 1 / (len(set(units)) + 1)))


@pytest.mark.parametrize("count, many", [(19, 1), (40, 1), (150, 1), (20, 12), (60, 9)])
def test_new_photos_are_beyond_it_as_seldom_as_wanted(count: int, many: int) -> None:
    """On average, also where photos of a unit are alike and units have other numbers of them."""
    generator = np.random.default_rng(1)
    found = []
    for _ in range(300):
        sizes = generator.integers(1, many + 1, count + 30)
        units = np.repeat(np.arange(len(sizes)), sizes)
        distances = generator.normal(size=len(sizes))[units] + generator.normal(size=len(units)) / 3
        own = units < count
        limit = find_limit(distances[own], units[own])
        beyond = (distances > limit).astype(float)
        found.append(np.mean([beyond[units == unit].mean() for unit in range(count, len(sizes))]))
    # Chance makes a tenth; with few units of many photos it is less often than wanted.
    assert share_beyond(count) / 3 < np.mean(found) < 1.15 * share_beyond(count)


@pytest.mark.parametrize(
    "features, count",
    [
        (drawn(1, 3, 50), 3),  # one photo a class
        (np.ones((20, 10), np.float32), 2),  # all alike
        (np.zeros((20, 10), np.float32), 2),
        (drawn(1, 1, 4), 1),
        (np.full((6, 3), 6e37, np.float32), 2),
        (np.full((6, 3), 1e-40, np.float32), 2),
    ],
)
def test_what_hardly_differs_has_distances(features: np.ndarray, count: int) -> None:
    """They are numbers, and photos like those that are known are within the limit."""
    known = learn_known(features, np.arange(len(features)) % count)
    limit = find_limit(known.distances_of(features), np.arange(len(features)))
    assert (known.distances_of(features) <= limit).mean() >= 0.95
    others = np.vstack([np.zeros_like(features[:1]), -features[:1], 5 * features[:1]])
    found = known.distances_of(others)
    assert np.isfinite(found).all() and ((found >= 0) & (found <= 2)).all()


def test_a_file_has_the_very_distances(tmp_path: Path) -> None:
    features, photos, about = drawn(1, 40, 30), drawn(2, 9, 30), describe()
    known = learn_known(features, np.arange(40) % 4)._replace(limit=0.25)
    place = beside(tmp_path / "x.keras")
    assert place == beside(tmp_path / "x.xml") == tmp_path / "x.unknown.npz"
    write_known(place, known, about)
    found = read_known(place, about)
    assert found.distances_of(photos).tolist() == known.distances_of(photos).tolist()
    assert (found.neighbours, found.limit) == (5, 0.25)
    before = place.read_bytes()
    write_known(place, found, about)
    assert place.read_bytes() == before


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"limit": np.nan}, "other numbers"),
        ({"limit": np.float64(3)}, "other numbers"),
        ({"neighbours": 41}, "other numbers"),
        ({"directions": np.full((40, 30), np.inf, np.float16)}, "other numbers"),
        ({"directions": np.zeros(40, np.float16)}, "other numbers"),
        ({"directions": np.array([{}])}, "Object arrays"),
        ({"model": np.zeros(32, np.uint8)}, "that of another model"),
        (None, "."),
    ],
)
def test_a_false_file_is_refused(tmp_path: Path, changes: dict | None, message: str) -> None:
    place, about = tmp_path / "x.unknown.npz", describe()
    write_known(place, learn_known(drawn(1, 40, 30), np.arange(40) % 4), about)
    with np.load(place) as stored:
        arrays = dict(stored)
    if changes is None:
        place.write_bytes(place.read_bytes()[:500])
    else:
        np.savez(place, **(arrays | changes))
    allowed = "must be the file of known photos that graft wrote with the model"
    with pytest.raises(UserError, match=rf"x\.unknown\.npz {allowed}.*{message}") as error:
        read_known(place, about)
    assert str(error.value).count("\n") == 0


def test_cores_change_no_byte(tmp_path: Path) -> None:
    code = """
        import numpy as np
        from graft.unknown.neighbours import learn_known
        rows = np.random.default_rng(1).normal(size=(1100, 700)).astype(np.float32)
        known = learn_known(rows[:1000], np.arange(1000) % 3)
        np.save("distances.npy", known.distances_of(rows[1000:]))
    """
    check_cores(tmp_path, code, "distances.npy")
