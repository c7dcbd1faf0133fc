"""What a model promises, and whether it keeps it: two accuracies, each with its interval."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graft.common.tables import read_json, read_table
from graft.models.description import ModelDescription
from graft.statistics.accuracy import accuracy_interval, interval_of_counts
from graft.statistics.significance import independent_interval

_CROSSED = Path("reports/cross_validation.json")


class Promise(NamedTuple):
    """The accuracy that is known of a model.

    Attributes:
        accuracy: 0–1.
        low, high: the ends of its interval of 95 %, by unit.
        n: images.
        units: in how many units.
        way: how it is known: by the `test` part; by `some` classes of it; or `crossed`, by a linear
            classifier that judged all photos in cross-validation, as the page leads with where the
            test part is small.
        of_page: whether it is that of the page in the present folder; else only the file of the
            model is known.
    """

    accuracy: float
    low: float
    high: float
    n: int
    units: int
    way: str = "test"
    of_page: bool = False


class Verdict(NamedTuple):
    """How an accuracy is beside a promise.

    Attributes:
        word: `within`, `worse` or `better`; the last two where the difference exceeds chance.
        difference: the accuracy less the promised one.
        low, high: the ends of the interval of the difference, of 95 %.
    """

    word: str
    difference: float
    low: float
    high: float


def read_promise(about: ModelDescription, own: str | None, present: Collection[str]) -> Promise:
    """What a model promises: that which the page leads with, if there are photos of every class.

    One that finds four classes well and a fifth one badly promises more without the fifth. So where
    classes are missing, the promise is that of the others on the test part, if it is known.

    Args:
        about: what the model says of itself, the test part among it.
        own: `head` or `finetuned` where the results in the present folder are those of this model.
        present: the classes of which there are photos.
    """
    if own and len(present) < len(about.classes):
        table = read_table(Path(f"reports/{own}/predictions.csv"), ["label", "predicted", "unit"])
        some = table[table["label"].isin(present)]
        if len(some):
            right = (some["label"] == some["predicted"]).to_numpy()
            units = some["unit"].astype(np.int64).to_numpy()
            low, high, *_ = accuracy_interval(right, units)
            counts = len(some), len(np.unique(units))
            return Promise(float(right.mean()), low, high, *counts, way="some", of_page=True)
    elif own:
        measured = read_json(_CROSSED)
        if measured["headline"] == "cross_validation" and measured["n"]:
            names = ("accuracy", "accuracy_low", "accuracy_high", "n", "units")
            return Promise(*(measured[name] for name in names), way="crossed", of_page=True)
    ends = interval_of_counts(about.units)
    units = sum(count for _, _, count in about.units)
    return Promise(about.accuracy, ends.low, ends.high, about.n, units, of_page=bool(own))


def set_beside(found: Mapping[str, Any], promise: Promise) -> Verdict:
    """Whether an accuracy on other photos differs from the promised one by more than chance.

    Both are taken as independent, each with its interval by unit; that of the difference is made of
    these (Newcombe 1998, Statistics in Medicine 17:873, method 10).

    Args:
        found: accuracy with its ends, as `measure` has them.
        promise: what was promised.
    """
    ends = (found["accuracy_low"], found["accuracy_high"])
    known = (promise.low, promise.high)
    low, high = independent_interval(promise.accuracy, found["accuracy"], known, ends)
    word = "worse" if high < 0 else "better" if low > 0 else "within"
    return Verdict(word, found["accuracy"] - promise.accuracy, low, high)
