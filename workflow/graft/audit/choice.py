"""The choice of depths by the log loss of their classifiers, with its reason in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.audit.phrases import phrase
from graft.judging.losses import standard_error

DEPTH_COLUMNS = ["layer", "layers", "width"]
DEPTH_COLUMNS += ["log_loss", "behind", "standard_error", "accuracy", "role"]
_WORSE = 2.0  # standard errors of a difference that is more than chance


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

    def is_clearly_worse(self, one: int, other: int) -> bool:
        """Whether a depth does worse by more than chance: by two standard errors, 19 in 20."""
        gap, error = self.find_gap(one, other)
        return gap > _WORSE * error


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
    best, count = int(scores.means().argmin()), len(scores.losses)
    feature = max(n for n in range(count) if np.less_equal(*scores.find_gap(n, best)))
    general = [n for n in range(feature) if scores.is_clearly_worse(n, feature)]
    return feature, max(general, default=feature) - 1


def tabulate_depths(
    depths: Sequence[Mapping[str, Any]], scores: DepthScores, feature: int, frozen: int
) -> pd.DataFrame:
    """The table `scores.csv`: a row a depth, from the input on.

    `behind` is by how much its log loss is above the lowest, and `standard_error` belongs to that
    difference: the choice is made by it. Both are 0 for the best depth.
    """
    places, means = range(len(depths)), scores.means()
    behind, error = zip(*(scores.find_gap(n, means.argmin()) for n in places), strict=True)
    return pd.DataFrame(depths, columns=DEPTH_COLUMNS[:3]).assign(
        log_loss=means,
        behind=behind,
        standard_error=error,
        accuracy=scores.right.mean(1),
        role=[{feature: "feature", frozen: "frozen up to here"}.get(place, "") for place in places],
    )


def explain_choice(layers: Sequence[str], scores: DepthScores, feature: int, frozen: int) -> str:
    """The choice in plain words, with its numbers: at most five sentences.

    Args:
        layers: the names of the depths.
        scores: by which the depths were chosen.
        feature, frozen: from `choose_depths`.
    """
    return phrase("choice", layers=layers, scores=scores, feature=feature, frozen=frozen)
