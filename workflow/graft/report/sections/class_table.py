"""Which classes: how good the models are on each, with intervals, and curves for two classes."""

import math
from typing import Any

import numpy as np

from graft.report.charts import Chart, thin
from graft.report.reading import ReportedModel, Tested
from graft.statistics.accuracy import accuracy_interval


def summarise_classes(tested: Tested) -> dict[str, Any]:
    """What the section shows, by model: tables, `judge_classes` worst first, and `rank_curves`."""
    return {
        "tables": {model.key: worst_first(judge_classes(tested, model)) for model in tested.models},
        "curves": {model.key: rank_curves(tested, model) for model in tested.models},
    }


def judge_classes(tested: Tested, model: ReportedModel) -> list[dict[str, Any]]:
    """A row a class, in the order of the classes.

    Args:
        tested: the test part.
        model: on it.

    Returns:
        Of each its number; images, how many test images it has; precision, recall and f1, each a
        value with the ends of its interval, None where it is of no image; and with, the class that
        its images are taken for most, and how many of them, None where all are right.

        The intervals are of 95 % and by unit. That of F1 is Wilson's of the images that are of the
        class or predicted as it, of which a share F* is both: F1 is 2 F* / (1 + F*) (Hand,
        Christen and Kirielle 2021, arXiv:2008.00103).
    """
    n = len(tested.classes)
    # The images of every class, and those predicted as it, without a look at all of them each time.
    own, said = _members(tested.labels, n), _members(model.predicted, n)
    right = model.predicted == tested.labels

    def share(images: np.ndarray) -> tuple[float, ...] | None:
        if not len(images):
            return None
        low, high, *_ = accuracy_interval(right[images], tested.units[images])
        return float(right[images].mean()), low, high

    beside = model.counts - np.diag(np.diag(model.counts))
    rows = []
    for i in range(n):
        both = share(np.union1d(own[i], said[i]))
        most = int(beside[i].argmax())
        rows.append(
            {
                "class": i,
                "images": len(own[i]),
                "precision": share(said[i]),
                "recall": share(own[i]),
                "f1": both and tuple(2 * value / (1 + value) for value in both),
                "with": (most, int(beside[i, most])) if beside[i, most] else None,
            }
        )
    return rows


def worst_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `judge_classes` by F1; classes without an image come last."""
    return sorted(rows, key=lambda row: row["f1"][0] if row["f1"] else math.inf)


def rank_curves(tested: Tested, model: ReportedModel) -> dict[str, Any] | None:
    """For two classes the ROC curve and precision by recall, of the second class.

    Args:
        tested: the test part.
        model: on it.

    Returns:
        roc and precision, two charts, each with the point of the chosen threshold where the
        metrics have one; threshold, and accuracy with it, None where they are missing. None for
        other numbers of classes, or where the test part has one class only.
    """
    metrics = model.metrics
    if len(tested.classes) != 2 or "auc" not in metrics:
        return None
    second = np.round(model.probabilities[:][:, 1].astype(float), 6)
    positive = tested.labels == 1
    # At each different probability, what is predicted from it upwards; before them, nothing is.
    order = np.argsort(-second, kind="stable")
    ends = np.flatnonzero(np.diff(second[order], append=-1.0))
    hits, alarms = (np.append(0, np.cumsum(own[order])[ends]) for own in (positive, ~positive))
    recall, fall_out = hits / hits[-1], alarms / alarms[-1]
    precision = hits[1:] / (hits + alarms)[1:]
    precision = np.append(precision[0], precision)
    roc = Chart("false alarms: share of the first class", "found: share of the second class")
    roc.line([0, 1], [0, 1], "guide")
    roc.line(*thin(fall_out, recall), "main")
    ranked = Chart("found: share of the second class", "precision")
    ranked.line(*thin(recall, precision), "main")
    threshold = metrics.get("threshold")
    if threshold is not None:
        above = (second[order][ends] > threshold).sum()
        roc.dot(fall_out[above], recall[above], "chosen")
        if above:
            ranked.dot(recall[above], precision[above], "chosen")
    return {
        "roc": roc,
        "precision": ranked,
        "threshold": threshold,
        "accuracy": metrics.get("threshold_accuracy"),
    }


def _members(labels: np.ndarray, n: int) -> list[np.ndarray]:
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, n)))
