"""How far the shares of small classes spread, by both kinds of division.

    uv run python -m benchmarks.division [SEEDS]

Five classes of 17 to 60 pictures are divided with each seed, once alone and once in groups of up to
eight. The table has the range of the share of a class in the training part over the seeds, and of
the 180 pictures how many are given another part when ten are added. It takes seconds.
"""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd

from graft.common.numbers import say_percent
from graft.split.assignment import draw_parts
from graft.split.stratified import draw_exactly
from graft.split.units import hash_position

SIZES = (17, 25, 33, 45, 60)
SHARES = {"train": 0.7, "valid": 0.15, "test": 0.15}
ADDED = 10
LARGEST = 8  # pictures of a group
KINDS = {"hash": draw_parts, "stratified": draw_exactly}
Draw = Callable[[pd.Series, pd.Series, dict[str, float]], pd.Series]


def main(seeds: int) -> None:
    """Prints a table in Markdown.

    Args:
        seeds: how many.
    """
    print("| `split.kind` | pictures | " + " | ".join(f"of {n}" for n in SIZES) + " | moved |")
    print("|---|---|" + "---|" * (len(SIZES) + 1))
    for name, largest in (("alone", 1), (f"in groups of up to {LARGEST}", LARGEST)):
        for kind, draw in KINDS.items():
            found = [_measure(draw, seed, largest) for seed in range(seeds)]
            shares = np.array([share for share, _ in found])
            ranges = [
                f"{say_percent(low, 0)} to {say_percent(high, 0)}"
                for low, high in zip(shares.min(0), shares.max(0), strict=True)
            ]
            moved = np.mean([moved for _, moved in found])
            print(f"| `{kind}` | {name} | {' | '.join(ranges)} | {moved:.1f} |")


def _measure(draw: Draw, seed: int, largest: int) -> tuple[list[float], int]:
    """The share of each class that is trained with, and how many pictures move when ten come."""
    keys, labels = _make_up(seed, largest)
    before = _divide(draw, seed, keys, labels)
    shares = (before == "train").groupby(labels).mean()
    # The new ones are alone, two of each class.
    more = pd.Series([f"new {number}" for number in range(ADDED)])
    classes = pd.Series([number % len(SIZES) for number in range(ADDED)])
    both = [pd.concat(pair, ignore_index=True) for pair in ((keys, more), (labels, classes))]
    after = _divide(draw, seed, *both)
    return shares.tolist(), int((after[: len(before)] != before).sum())


def _make_up(seed: int, largest: int) -> tuple[pd.Series, pd.Series]:
    """The unit and the class of each picture."""
    draw = np.random.default_rng(seed)
    keys: list[str] = []
    for number, size in enumerate(SIZES):
        own: list[str] = []
        while len(own) < size:
            own += [f"{number} {len(own)}"] * int(draw.integers(1, largest + 1))
        keys += own[:size]
    return pd.Series(keys), pd.Series(np.repeat(range(len(SIZES)), SIZES))


def _divide(draw: Draw, seed: int, keys: pd.Series, labels: pd.Series) -> pd.Series:
    return draw(keys.map(lambda key: hash_position(seed, key)), labels, SHARES)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
