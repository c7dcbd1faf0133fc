"""Can its confidence be believed: reliability, and accuracy against the share that is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.judging.calibration import rescale
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
        their chart; `before` is None where it is not known. metrics: by model. kept: the chart of
        accuracy against the share of images that are kept, and `table`, its values at some shares
        with the confidence from which on they are kept.
    """
    reliability = {}
    for model in tested.models:
        right = model.predicted == tested.labels
        plain = plain_confidences(model)
        reliability[model.key] = {
            "after": _with_chart(bin_confidences(model.confidence, right)),
            "before": None if plain is None else _with_chart(bin_confidences(plain, right)),
            "temperature": model.training.get("temperature"),
        }
        reliability[model.key]["verdict"] = say_trust(reliability[model.key]["after"]["bins"])
    return {
        "reliability": reliability,
        "metrics": {model.key: model.metrics for model in tested.models},
        "kept": _chart_kept(tested),
        "table": {model.key: tabulate_kept(tested, model) for model in tested.models},
    }


def plain_confidences(model: ReportedModel) -> np.ndarray | None:
    """The confidences as they were before calibration, float64 (n,); None where unknown.

    One temperature changes no order of the classes, so what is predicted stays.
    """
    if model.probabilities is None or "temperature" not in model.training:
        return None
    scale = model.training["temperature"]
    blocks = in_blocks(model.probabilities, len(model.counts))
    blocks = [rescale(block, scale).max(1) for block in blocks]
    return np.concatenate([*blocks, np.zeros(0)])


def say_trust(bins: Sequence[Mapping[str, Any]]) -> str:
    """Whether the confidence is worth what it says, in a sentence.

    Args:
        bins: from `bin_confidences`.
    """
    over = sum(row["true"] < row["low"] for row in bins)
    under = sum(row["true"] > row["high"] for row in bins)
    return say_sentence(
        "trust", over=over, under=under, bins=len(bins), photos=sum(r["n"] for r in bins)
    )


def tabulate_kept(tested: Tested, model: ReportedModel) -> list[dict[str, Any]]:
    """How accurate a model is if only the share of images that it is surest of is answered.

    Returns:
        A row for each of some shares: share, kept (how many images), the confidence from which on
        they are kept, and accuracy.
    """
    right = (model.predicted == tested.labels)[_surest_first(tested, model)]
    confidence = np.sort(model.confidence)[::-1]
    rows = []
    for share in _SHARES:
        kept = max(round(share * len(right)), 1)
        accuracy = float(right[:kept].mean())
        rows.append({"share": share, "kept": kept, "accuracy": accuracy})
        rows[-1]["confidence"] = float(confidence[kept - 1])
    return rows


def _chart_kept(tested: Tested) -> Chart:
    n, curves = len(tested.labels), []
    for model in tested.models:
        right = (model.predicted == tested.labels)[_surest_first(tested, model)]
        shares, accuracy = np.arange(1, n + 1) / n, np.cumsum(right) / np.arange(1, n + 1)
        # Of the first few images the accuracy says nothing.
        start = min(max(n // 50, 5), n - 1)
        curves.append(thin(shares[start:], accuracy[start:]))
    ends = padded_ends(np.concatenate([y for _, y in curves]), 0, 1)
    chart = Chart("share of the photos that is answered", "accuracy", (0, 1), ends)
    for (x, y), style in reversed([*zip(curves, ("main", "other"), strict=False)]):
        chart.line(x, y, style)
    return chart


def _surest_first(tested: Tested, model: ReportedModel) -> np.ndarray:
    return np.lexsort((tested.paths, -model.confidence))


def _with_chart(bins: list[dict[str, Any]]) -> dict[str, Any]:
    chart = Chart("how sure it says it is", "photos that are right")
    chart.line([0, 1], [0, 1], "guide")
    for row in bins:
        chart.bar(row["said"], row["low"], row["high"], "chance")
    for row in bins:
        inside = row["low"] <= row["true"] <= row["high"]
        chart.dot(row["said"], row["true"], "main" if inside else "off")
    return {"bins": bins, "chart": chart}
