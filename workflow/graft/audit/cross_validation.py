"""Judge every image by a classifier that has not learned from it: the accuracy, and label errors.

A test part of a few images tells little, so the accuracy is measured on all images. A classifier
does not find a wrong label that it has learned. So for each image the classifier has learned from
others. It is a linear one over the features of the chosen layer, as the head is, and takes seconds.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from graft.audit.label_errors import LabelNoise, estimate_noise, tabulate_errors
from graft.audit.phrases import phrase
from graft.common.arrays import Joined, RowSource
from graft.common.classes import PARTS
from graft.common.numbers import say_percent
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import read_table, write_json, write_table
from graft.judging.calibration import as_logits
from graft.linear.folds import divide_folds, judged_rows, sample_images
from graft.linear.standardising import find_moments, standardise
from graft.parts.rows import read_features, read_units
from graft.statistics.accuracy import wilson_interval
from graft.statistics.measures import measure

_SEED = 0  # of the folds; a measurement, which no parameter has to vary
_CHOICE = 3000  # images at most that C is chosen with
# Images that a fold learns from, times features, times classes: at most 400 MB and a minute a fold.
# Where there are more, a sample is learned from; all are judged.
_WORK = 1_000_000_000
_PER_CLASS = 5  # images of a class that are learned from at least, on average
_TOLERANCE = 1e-4  # of the optimiser: a smaller one moves no probability by more than 0.001
_FEW = 100  # units of the test part, below which the headline is the cross-validated accuracy


def main(stage: Stage) -> None:
    """Writes `label_errors.csv`, and `cross_validation.json`.

    The latter has accuracy with its 95 % interval (accuracy_low, accuracy_high) and log_loss (nats)
    of the images judged, None where none could be; n, how many these are; units, how many sets of
    images that stay together; label_errors, how many labels are likely wrong, but for those that a
    person has decided; label_errors_true, how many of these are, by their probabilities; by_hand,
    how many labels a person has decided; label_noise, the estimated share of all labels, None where
    that may be chance; test_units, those of the test part; test_bound, the lower end of the
    interval of a test part of that size of which all is right; and headline, `test`, or
    `cross_validation` where the test part is small.
    """
    parts = read_features(stage)
    rows = [parts[name] for name in PARTS]
    paths = [(path, name) for name in PARTS for path in parts[name].paths]
    images = pd.DataFrame(paths, columns=["path", "part"])
    units = read_units(stage.input("data/units.csv"), [id_ for part in rows for id_ in part.ids])
    labels = np.concatenate([part.labels for part in rows])
    classes = parts["train"].classes
    weight = stage["head.class_weight"]
    mine, found = judge_all(Joined(rows), labels, units, len(classes), weight)
    manifest = read_table(stage.input("data/manifest.csv"), ["path", "by_hand"])
    decided = images["path"].isin(manifest["path"][manifest["by_hand"] != ""]).to_numpy()
    noise = _find_noise(found, labels[mine], weight, decided[mine])
    summary = {
        **_measure(found, labels[mine], units[mine]),
        **_count(noise),
        "by_hand": int(decided.sum()),
        **judge_size(len(np.unique(units[images["part"] == "test"]))),
    }
    errors = tabulate_errors(images.iloc[mine], classes, labels[mine], found, noise)
    write_json(stage.output("reports/cross_validation.json"), summary)
    write_table(stage.output("reports/label_errors.csv"), errors)
    _say(summary, len(labels))


def judge_all(
    features: RowSource, labels: np.ndarray, units: np.ndarray, classes: int, weight: str = "none"
) -> tuple[np.ndarray, np.ndarray]:
    """Judges each image by a logistic regression that has learned from the units of other folds.

    Mean and deviation of the features are learned within a fold, too. C is chosen once, with at
    most _CHOICE images by other folds of the same kind: one number, whose optimum is flat. On
    photos of flowers a choice within each fold gave the same accuracy with 100 images or more (a
    point less with 40), and a log loss that was higher by 0.01 with 100 to 300 images.

    Args:
        features: float32 (n, d).
        labels: int64 (n,), each a class.
        units: int64 (n,), equal for images that must stay together.
        classes: how many there are.
        weight: of the classes, `none` or `balanced`.

    Returns:
        int64 (k,), which images were judged, rising; not those of a class that is in one fold
        alone. And float64 (k, classes), their probabilities.
    """
    divided = divide_folds(labels, units, _SEED)
    some = sample_images(labels, _CHOICE, _SEED)
    all_of_them = len(some) == len(labels)
    choice = divided if all_of_them else divide_folds(labels[some], units[some], _SEED)
    if not divided or not choice:
        return np.empty(0, np.int64), np.empty((0, classes))
    from graft.linear.axes import find_axes
    from graft.linear.linear import LinearRule, cross_validate, fit_once

    rule, drawn = LinearRule("logistic", classes, weight), features[some]
    drawn = standardise(drawn, *find_moments(drawn))
    prior = _find_prior(labels, classes, weight)

    def lose(logits: np.ndarray, own: np.ndarray) -> np.ndarray:
        # The log loss would choose a C with which nothing is so sure that a wrong label stands out.
        return estimate_noise(logits + prior, own).losses

    axes = find_axes(drawn)
    c = cross_validate(rule, drawn, axes, labels[some], choice, lose).regularisation
    del drawn
    most = max(_WORK // (features[:0].shape[1] * classes), _PER_CLASS * classes)
    outputs = np.empty((len(labels), classes))
    with Progress("cross_validation", len(divided), "folds") as progress:
        for learned, others in divided:
            learned = learned[sample_images(labels[learned], most, _SEED)]
            own = features[learned]
            moments = find_moments(own)
            own = standardise(own, *moments, np.float32)
            fitted = fit_once(rule, own, axes, labels[learned], c, _TOLERANCE)
            outputs[others] = standardise(features[others], *moments) @ fitted.kernel + fitted.bias
            progress.advance()
    rows = judged_rows(divided)
    return rows, softmax(outputs[rows], axis=1)


def _find_prior(labels: np.ndarray, classes: int, weight: str) -> np.ndarray | float:
    """What is added to logits, so that they are as sure of a class as it is frequent."""
    if weight == "none":
        return 0.0
    return np.log(np.maximum(np.bincount(labels, minlength=classes), 1) / len(labels))


def _find_noise(
    probabilities: np.ndarray, labels: np.ndarray, weight: str, decided: np.ndarray
) -> LabelNoise:
    """The noise of labels, of which those that a person has decided are right."""
    if not len(labels):
        return LabelNoise(0.0, False, np.empty(0), np.empty(0))
    prior = _find_prior(labels, probabilities.shape[1], weight)
    noise = estimate_noise(as_logits(probabilities) + prior, labels)
    return noise._replace(wrong=np.where(decided, 0.0, noise.wrong))


def _count(noise: LabelNoise) -> dict[str, Any]:
    likely = noise.find_likely()
    return {
        "label_errors": int(likely.sum()),
        "label_errors_true": round(float(noise.wrong[likely].sum()), 1),
        "label_noise": round(noise.rate, 4) if noise.certain else None,
    }


def judge_size(units: int) -> dict[str, int | float | str]:
    """What a test part of so many units can tell: test_units, test_bound and headline."""
    bound = wilson_interval(units, units)[0] if units else 0.0
    headline = "cross_validation" if units < _FEW else "test"
    return {"test_units": units, "test_bound": round(bound, 6), "headline": headline}


def _measure(probabilities: np.ndarray, labels: np.ndarray, units: np.ndarray) -> dict[str, Any]:
    """Accuracy with its interval, log_loss, n and units; None where no image was judged."""
    names = ["accuracy", "accuracy_low", "accuracy_high", "log_loss"]
    found = measure(probabilities, labels, units) if len(labels) else dict.fromkeys(names)
    counts = {"n": len(labels), "units": len(np.unique(units))}
    return {name: found[name] for name in names} | counts


def _say(found: Mapping[str, Any], images: int) -> None:
    if found["n"]:
        print(f"cross_validation: {phrase('judged', found=found)}")
    warnings = []
    if found["n"] < images:
        warnings.append(phrase("not_judged", n=images - found["n"], images=images))
    if found["headline"] != "test":
        bound = say_percent(found["test_bound"], 0)
        warnings.append(phrase("small_test", units=found["test_units"], bound=bound))
    for text in warnings:
        print(f"cross_validation: warning: {text}", file=sys.stderr)
