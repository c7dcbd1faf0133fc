"""Can its confidence be believed: reliability, and accuracy against the share that is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.report.charts import Chart, padded_ends, thin
from graft.report.confusion import in_blocks
from graft.report.reading import ReportedModel, Tested
from graft.report.wording import say_sentence
from graft.statistics.reliability import bin_confidences

_SHARES = (1.0, 0.95, 0.9, 0.8, 0.5)  # of the images, in the table


def summarise_trust(tested: Tested) -> dict[str, Any]:
    """What the section shows.

    Args:
        tested: the models on the test part.

    Returns:
        reliability: by model, `after` and `before` calibration, the bins of `bin_confidences` with
        their chart, and the verdict; before is None where the temperature is not known. kept: the
        chart of accuracy against the share of images that are kept, and `table`, its values at some
        shares with the confidence from which on they are kept.
    """
    reliability = {}
    for model in tested.models:
        right = model.predicted == tested.labels
        after = bin_confidences(model.confidence, right)
        known = model.training["temperature"] is not None
        before = bin_confidences(plain_confidences(model), right) if known else None
        reliability[model.key] = {
            "after": {"bins": after, "chart": _chart_bins(after)},
            "before": before and {"bins": before, "chart": _chart_bins(before)},
            "verdict": say_trust(after),
        }
    return {
        "reliability": reliability,
        "kept": _chart_kept(tested),
        "table": {model.key: tabulate_kept(tested, model) for model in tested.models},
    }


def plain_confidences(model: ReportedModel) -> np.ndarray:
    """The confidences as they were before calibration, float64 (n,).

    One temperature changes no order of the classes, so what is predicted stays.
    """
    from graft.judging.calibration import rescale  # it imports half a second of SciPy

    blocks = in_blocks(model.probabilities, len(model.counts))
    return np.concatenate([rescale(own, model.training["temperature"]).max(1) for own in blocks])


def say_trust(bins: Sequence[Mapping[str, Any]]) -> str:
    """Whether the confidence is worth what it says, in a sentence.

    Args:
        bins: from `bin_confidences`.
    """
    over = sum(row["true"] < row["low"] for row in bins)
    under = sum(row["true"] > row["high"] for row in bins)
    photos = sum(row["n"] for row in bins)
    return say_sentence("trust", over=over, under=under, bins=len(bins), photos=photos)


def tabulate_kept(tested: Tested, model: ReportedModel) -> list[dict[str, Any]]:
    """How accurate a model is if only the share of images that it is surest of is answered.

    Returns:
        A row for each of some shares: share, kept (how many images), the confidence from which on
        they are kept, and accuracy.
    """
    order = tested.surest_first(model)
    accuracies, confidence = _accuracies(tested, model), model.confidence[order]
    counts = [(share, max(round(share * len(order)), 1)) for share in _SHARES]
    return [
        {
            "share": share,
            "kept": kept,
            "accuracy": float(accuracies[kept - 1]),
            "confidence": float(confidence[kept - 1]),
        }
        for share, kept in counts
    ]


def _accuracies(tested: Tested, model: ReportedModel) -> np.ndarray:
    """The accuracy on the image that a model is surest of, on the first two, and so on."""
    right = (model.predicted == tested.labels)[tested.surest_first(model)]
    return np.cumsum(right) / np.arange(1, len(right) + 1)


def _chart_kept(tested: Tested) -> Chart:
    n = len(tested.labels)
    # Of the first few images the accuracy says nothing.
    start = min(max(n // 50, 5), n - 1)
    shares = np.arange(1, n + 1) / n
    curves = [thin(shares[start:], _accuracies(tested, m)[start:]) for m in tested.models]
    ends = padded_ends(np.concatenate([y for _, y in curves]), 0, 1)
    chart = Chart("share of the photos that is answered", "accuracy", (0, 1), ends)
    for (x, y), style in reversed([*zip(curves, ("main", "other"), strict=False)]):
        chart.line(x, y, style)
    return chart


def _chart_bins(bins: Sequence[Mapping[str, Any]]) -> Chart:
    chart = Chart("how sure it says it is", "photos that are right")
    chart.line([0, 1], [0, 1], "guide")
    for row in bins:
        inside = row["low"] <= row["true"] <= row["high"]
        chart.bar(row["said"], row["low"], row["high"], "chance")
        chart.dot(row["said"], row["true"], "main" if inside else "off")
    return chart
