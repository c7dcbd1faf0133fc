"""What a model promises, and whether it keeps it: two accuracies, each with its interval."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graft.common.tables import read_json
from graft.models.description import ModelDescription
from graft.statistics.accuracy import interval_of_counts
from graft.statistics.significance import independent_interval

_CROSSED = Path("reports/cross_validation.json")


class Promise(NamedTuple):
    """The accuracy that is known of a model.

    Attributes:
        accuracy: 0–1.
        low, high: the ends of its interval of 95 %, by unit.
        n: images.
        units: in how many units.
        crossed: whether it is cross-validated, by a linear classifier, as the page leads with where
            the test part is small; else it is of the test part.
    """

    accuracy: float
    low: float
    high: float
    n: int
    units: int
    crossed: bool = False


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


def read_promise(about: ModelDescription, of_project: bool) -> Promise:
    """What a model promises: that which the page leads with.

    Args:
        about: what the model says of itself, the test part among it.
        of_project: whether the results in the present folder are those of this model.
    """
    measured = read_json(_CROSSED) if of_project and _CROSSED.is_file() else {"headline": "test"}
    if measured["headline"] == "cross_validation" and measured["n"]:
        names = ("accuracy", "accuracy_low", "accuracy_high", "n", "units")
        return Promise(*(measured[name] for name in names), crossed=True)
    ends = interval_of_counts(about.units)
    units = sum(count for _, _, count in about.units)
    return Promise(about.accuracy, ends.low, ends.high, about.n, units)


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
