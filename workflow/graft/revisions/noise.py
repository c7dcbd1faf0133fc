"""What chance alone does to a difference of two results: of their images, and of their seeds."""

from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd

from graft.revisions.pairing import Pairing, pair_images
from graft.revisions.settings import MOST_LOSS, ModelResults
from graft.statistics import significance
from graft.statistics.accuracy import accuracy_interval
from graft.statistics.intervals import mean_ends


def compare_images(old: ModelResults, new: ModelResults, measure: str) -> dict[str, Any]:
    """Compares two models by what they say about each image.

    Where enough images are shared, only these are compared, pair by pair. Otherwise all images of
    both are, as two independent results.

    Args:
        old, new: of the same part, as `identify_images` gives them.
        measure: `accuracy` or `log_loss`; the latter must be known.

    Returns:
        `shared`: from `Pairing.summarise`. `others`: what keeps them from being compared image by
        image: `classes`, that they are of other classes, or `few`, that too few images are shared;
        `paired`: whether there is none of these. `same`: whether they are paired and no image has
        another value. Of the images that are compared, of the old and of the new model: `means`,
        the measure; `n` and `units`: images, and sets of images that belong together, None where
        they are not known. `lost` and `won`: images that only the old one, or only the new one,
        classifies right. `p`: of McNemar's test, or of the permutation by unit. `lost`, `won` and
        `p` are None unless paired. Then as `compare_seeds`, of the values of the images.
    """
    pairing = pair_images(old, new)
    others = []
    if set(old.images.index.unique("label")) != set(new.images.index.unique("label")):
        others.append("classes")
    if len(pairing.before) < pairing.needed:
        others.append("few")
    sides = (old.images, new.images) if others else (pairing.before, pairing.after)
    before, after = sides
    column = "right" if measure == "accuracy" else "loss"
    means = float(before[column].mean()), float(after[column].mean())
    lost = won = p = None
    if others:
        ends = [_measure_ends(side, measure) for side in sides]
        interval = significance.independent_interval(*means, *ends)
    else:
        lost, won, p, *interval = _paired_test(pairing, measure)
    found = {
        "shared": pairing.summarise(),
        "others": others,
        "paired": not others,
        "same": not others and np.array_equal(before[column], after[column]),
        "means": means,
        "n": (len(before), len(after)),
        "units": [
            side["unit"].nunique() if results.units_known else None
            for side, results in zip(sides, (old, new), strict=True)
        ],
    }
    difference = means[1] - means[0]
    return found | {"lost": lost, "won": won, "p": p} | _difference(difference, interval, p)


def _paired_test(pairing: Pairing, measure: str) -> tuple[int, int, float, float, float]:
    """Of the pairs: those lost and won, p, and the ends of the interval."""
    before, after, units = pairing.before, pairing.after, pairing.join_units()
    # As arrays: their paths may differ, by which pandas would bring them together.
    sides = before["right"].to_numpy(bool), after["right"].to_numpy(bool)
    if measure == "accuracy":
        return significance.compare_right(*sides, units)
    lost, won = int((sides[0] & ~sides[1]).sum()), int((sides[1] & ~sides[0]).sum())
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    changes = np.bincount(unit, after["loss"].to_numpy() - before["loss"].to_numpy())
    return lost, won, *significance.flip_test(changes, sizes, MOST_LOSS)


def _measure_ends(side: pd.DataFrame, measure: str) -> tuple[float, float]:
    """The interval of the mean of one side's images."""
    if measure == "log_loss":
        low, high = mean_ends(side["loss"].to_numpy(), side["unit"].to_numpy())
        # A difference has limits, even where one unit says nothing of the others.
        return max(low, 0.0), min(high, MOST_LOSS)
    interval = accuracy_interval(side["right"].to_numpy(), side["unit"].to_numpy())
    return interval.low, interval.high


def compare_seeds(old: ModelResults, new: ModelResults, measure: str) -> dict[str, Any] | None:
    """Compares two settings by their repeats.

    Returns:
        None where one side has a single seed. `n`: seeds of the old and of the new setting. `mean`
        and `spread` of the results of each. `difference`: of the means, new less old. `low` and
        `high`: the ends of its 95 % interval. `beyond`: whether the difference exceeds what chance
        does.
    """
    sides = tuple(side.seeds.get(measure, ()) for side in (old, new))
    if min(map(len, sides)) < 2:
        return None
    means = tuple(map(mean, sides))
    found = {"n": tuple(map(len, sides)), "mean": means, "spread": tuple(map(stdev, sides))}
    return found | _difference(means[1] - means[0], significance.welch_interval(*sides))


def say_difference(value: float, measure: str) -> str:
    """A difference with its sign: in percentage points, or in nats for a log loss."""
    text = f"{100 * value:+.2f}" if measure == "accuracy" else f"{value:+.3f}"
    text = text[1:] if float(text) == 0 else text.replace("-", "−")
    return f"{text} points" if measure == "accuracy" else text


def _difference(value: float, ends: Any, p: float | None = None) -> dict[str, Any]:
    low, high = ends
    beyond = not low <= 0 <= high if p is None else p < significance.LEVEL
    return {"difference": value, "low": low, "high": high, "beyond": beyond}
