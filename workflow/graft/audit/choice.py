"""The choice of depths by the log loss of their classifiers, with its reason in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.common.numbers import say_percent
from graft.judging.losses import standard_error

DEPTH_COLUMNS = ["layer", "layers", "width"]
DEPTH_COLUMNS += ["log_loss", "behind", "standard_error", "accuracy", "role"]
_FEATURE, _FROZEN = "feature", "frozen up to here"
_AS_GOOD, _WORSE = 1.0, 2.0  # standard errors


class DepthScores(NamedTuple):
    """How a classifier on each depth did, on the same images that none had learned from.

    The depths are judged by log loss. Accuracy counts an image as right or wrong, however near the
    decision was, so it tells depths apart less well; and where one class is frequent, a classifier
    that never names the others may have the best one.

    Attributes:
        losses: float64 (depths, n), the log loss of each image, nats, from the input up.
        right: bool (depths, n), whether the image was classified right.
        units: int64 (n,), equal for images that belong together.
        weights: float64 (n,), what the images weigh, as in the training of the head.
    """

    losses: np.ndarray
    right: np.ndarray
    units: np.ndarray
    weights: np.ndarray

    def means(self) -> np.ndarray:
        """The weighted mean log loss of each depth, float64 (depths,), nats."""
        return np.average(self.losses, axis=1, weights=self.weights)

    def find_gap(self, one: int, other: int) -> tuple[float, float]:
        """By how much the loss of a depth is above that of another, and its standard error, nats.

        The error is that of the paired difference: both were asked about the same images.
        """
        difference = self.losses[one] - self.losses[other]
        mean = np.average(difference, weights=self.weights)
        return float(mean), standard_error(difference, self.units, self.weights)


def choose_depths(scores: DepthScores) -> tuple[int, int]:
    """The depth of the feature, and the depth up to which layers stay frozen.

    The feature is the deepest one that does as well as the best, within one standard error of the
    difference: of layers that are equal the later one has more of what was learned before. Below
    it, layers are general as long as what follows them still adds a lot (more than _WORSE standard
    errors). The last of these is where features become special, so its own block is trained too:
    frozen are the layers up to the depth before it.

    Returns:
        The two places among the depths, the second below the first; it is -1 where nothing is
        frozen.
    """

    def is_worse(one: int, other: int, errors: float) -> bool:
        gap, error = scores.find_gap(one, other)
        return gap > errors * error

    best = int(scores.means().argmin())
    count = len(scores.losses)
    feature = max(n for n in range(count) if not is_worse(n, best, _AS_GOOD))
    general = [n for n in range(feature) if is_worse(n, feature, _WORSE)]
    return feature, (max(general) if general else feature) - 1


def tabulate_depths(
    depths: Sequence[Mapping[str, Any]], scores: DepthScores, feature: int, frozen: int
) -> pd.DataFrame:
    """The table `scores.csv`: a row a depth, from the input on.

    `behind` is by how much its log loss is above the lowest, and `standard_error` belongs to that
    difference: the choice is made by it. Both are 0 for the best depth.
    """
    roles = {feature: _FEATURE, frozen: _FROZEN}
    table = pd.DataFrame(depths, columns=DEPTH_COLUMNS[:3])
    means = scores.means()
    best = int(means.argmin())
    table["log_loss"] = means
    gaps = [scores.find_gap(n, best) for n in range(len(means))]
    table["behind"], table["standard_error"] = zip(*gaps, strict=True)
    table["accuracy"] = scores.right.mean(1)
    table["role"] = [roles.get(number, "") for number in range(len(depths))]
    return table


def explain_choice(layers: Sequence[str], scores: DepthScores, feature: int, frozen: int) -> str:
    """The choice in plain words, with its numbers: at most five sentences.

    What is more than chance is a difference of more than _WORSE standard errors, about 19 in 20.

    Args:
        layers: the names of the depths.
        scores: by which the depths were chosen.
        feature, frozen: from `choose_depths`.
    """
    means, right = scores.means(), scores.right.mean(1)
    shown = [
        f"{layer} (log loss {loss:.3f}, {say_percent(accuracy)} right)"
        for layer, loss, accuracy in zip(layers, means, right, strict=True)
    ]
    images = f"Measured by cross-validation on {scores.losses.shape[1]:,} training images"
    weighed = ", of which each class weighs the same" if np.ptp(scores.weights) else ""
    return " ".join(
        [
            _explain_feature(shown, scores, feature),
            _explain_frozen(shown, layers, scores, feature, frozen),
            f"{images}{weighed}.",
        ]
    )


def _explain_feature(shown: Sequence[str], scores: DepthScores, feature: int) -> str:
    best, last = int(scores.means().argmin()), len(shown) - 1
    if best == last:
        return f"The last layer, {shown[last]}, does best and is the feature."
    first = f"{shown[best]} does best."
    gap, error = scores.find_gap(last, best)
    numbers = f"its log loss is higher by {gap:.3f} ± {error:.3f}"
    if feature == last:
        return (
            f"{first} The last layer, {shown[last]}, does as well within one standard error"
            f" ({numbers}), and is the feature."
        )
    chance = "by more than chance" if gap > _WORSE * error else "though this may be chance"
    second = f"The last layer, {shown[last]}, does worse, {chance}: {numbers}."
    if feature == best:
        return f"{first} {second} No later layer comes within one standard error of the best."
    third = f"{shown[feature]} is the last one within one standard error of the best"
    return f"{first} {second} {third}, and is the feature."


def _explain_frozen(
    shown: Sequence[str], layers: Sequence[str], scores: DepthScores, feature: int, frozen: int
) -> str:
    if feature == 0:
        return "No earlier layer was measured, so all layers up to it are trained."
    if frozen == feature - 1:
        return (
            "No earlier layer does worse than the feature by more than chance, so only what comes"
            f" after {layers[frozen]} is trained."
        )
    gap, error = scores.find_gap(frozen + 1, feature)
    worse = (
        f"{shown[frozen + 1]} is the last layer that does worse than the feature by more than"
        f" chance ({gap:.3f} ± {error:.3f})"
    )
    if frozen < 0:
        return f"{worse}, and none before it was measured, so all layers are trained."
    return f"{worse}, so what comes after {layers[frozen]} is trained and the rest stays as it is."
