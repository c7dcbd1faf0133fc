"""How often chance alone is taken for a difference, by simulation; and which promise is taken."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colours import COLOURS
from graft.common.tables import write_table
from graft.statistics.accuracy import accuracy_interval
from graft.testing.promise import Promise, read_promise, set_beside
from trainings import describe

DRAWS = 1000


def draw(
    generator: np.random.Generator, share: float, units: int, each: int, correlation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Photos that are right or wrong, and their units: beta-binomial with this correlation."""
    if correlation:
        odds = (1 - correlation) / correlation
        chances = generator.beta(share * odds, (1 - share) * odds, units)
    else:
        chances = np.full(units, share)
    unit = np.repeat(np.arange(units), each)
    return generator.random(len(unit)) < chances[unit], unit


def rates(
    before: float, now: float, sizes: tuple[int, int], each: int = 1, correlation: float = 0.0
) -> dict[str, float]:
    """How often each word is said where these are the true accuracies."""
    generator = np.random.default_rng(1)
    draws = DRAWS if each == 1 else DRAWS // 4
    words = []
    for _ in range(draws):
        sides = []
        for share, units in zip((before, now), sizes, strict=True):
            right, unit = draw(generator, share, units, each, correlation)
            sides.append((float(right.mean()), *accuracy_interval(right, unit)[:2]))
        (known, *ends), (found, low, high) = sides
        promise = Promise(known, *ends, n=sizes[0], units=sizes[0])
        measured = {"accuracy": found, "accuracy_low": low, "accuracy_high": high}
        words.append(set_beside(measured, promise).word)
    return {word: words.count(word) / draws for word in ("within", "worse", "better")}


@pytest.mark.parametrize("share", [0.6, 0.9, 0.98])
@pytest.mark.parametrize("sizes", [(60, 40), (300, 40), (300, 400)])
def test_equal_accuracies_seldom_differ(share: float, sizes: tuple[int, int]) -> None:
    """In one case of twenty, but for the noise of 1,000 draws."""
    assert rates(share, share, sizes)["within"] >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / DRAWS)


@pytest.mark.parametrize("correlation", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("share", [0.7, 0.95])
def test_photos_of_one_person_are_no_proof(share: float, correlation: float) -> None:
    """Ten photos each of 30 and of 20 people."""
    draws = DRAWS // 4
    found = rates(share, share, (30, 20), 10, correlation)
    assert found["within"] >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / draws)


def test_what_is_worse_is_said() -> None:
    assert rates(0.97, 0.85, (300, 400))["worse"] > 0.99
    assert rates(0.85, 0.97, (300, 400))["better"] > 0.99
    assert rates(0.97, 0.9, (300, 400))["worse"] > 0.9


def test_the_promise_is_what_the_page_leads_with(empty: Path) -> None:
    about = describe(COLOURS, accuracy=1.0)
    by_file = read_promise(about, None, COLOURS)
    assert (by_file.accuracy, by_file.n, by_file.units, by_file.way) == (1.0, 12, 12, "test")
    assert by_file.low == pytest.approx(0.757, abs=1e-3) and by_file.high == 1
    crossed = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "n": 80, "units": 70}
    (empty / "reports/head").mkdir(parents=True)
    place = empty / "reports/cross_validation.json"
    by_page = by_file._replace(of_page=True)
    for headline, n, leads in (("test", 80, False), ("cross_validation", 80, True)):
        place.write_text(json.dumps(crossed | {"headline": headline, "n": n}))
        found = read_promise(about, "head", COLOURS)
        assert found == (Promise(0.9, 0.8, 0.95, 80, 70, "crossed", True) if leads else by_page)
        assert read_promise(about, None, COLOURS) == by_file
    # Without photos of one class, it is that of the others.
    rows = [("red", "red", 1), ("red", "blue", 1), ("green", "green", 2), ("blue", "red", 3)]
    table = pd.DataFrame(rows, columns=["label", "predicted", "unit"])
    write_table(empty / "reports/head/predictions.csv", table)
    some = read_promise(about, "head", {"red", "green"})
    assert (some.accuracy, some.n, some.units, some.way) == (pytest.approx(2 / 3), 3, 2, "some")
    assert some.low < 2 / 3 < some.high
    assert read_promise(about, None, {"red", "green"}) == by_file
    place.write_text(json.dumps(dict.fromkeys(crossed) | {"headline": "cross_validation", "n": 0}))
    assert read_promise(about, "head", COLOURS) == by_page
