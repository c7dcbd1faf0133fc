"""The choice of depths by their scores, with its reason in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.judging.losses import standard_error

DEPTH_COLUMNS = ["layer", "layers", "width", "accuracy", "standard_error", "role"]
_FEATURE, _FROZEN = "feature", "frozen up to here"
_WORSE = 2.0  # standard errors


def choose_depths(right: np.ndarray, units: np.ndarray) -> tuple[int, int]:
    """The depth of the feature, and the depth up to which layers stay frozen.

    The feature is the deepest one that does as well as the best, within one standard error of the
    difference: of layers that are equal the later one has more of what was learned before. Below
    it, layers are general as long as what follows them still adds a lot (more than _WORSE standard
    errors). The last of these is where features become special, so its own block is trained too:
    frozen are the layers up to the depth before it.

    Args:
        right: bool (depths, n), from the input up, for the same images.
        units: int64 (n,), equal for images that belong together.

    Returns:
        The two places among the depths, the second below the first; it is -1 where nothing is
        frozen.
    """
    best = right[int(right.mean(1).argmax())]
    feature = max(n for n, own in enumerate(right) if not _is_worse(own, best, units, 1.0))
    general = [n for n in range(feature) if _is_worse(right[n], right[feature], units, _WORSE)]
    return feature, (max(general) if general else feature) - 1


def _is_worse(one: np.ndarray, other: np.ndarray, units: np.ndarray, errors: float) -> bool:
    """Whether one is right less often than the other, by more than so many standard errors.

    The error is that of the paired difference: both were asked about the same images.
    """
    difference = other.astype(float) - one
    return bool(difference.mean() > errors * standard_error(difference, units))


def tabulate_depths(
    depths: Sequence[Mapping[str, Any]],
    right: np.ndarray,
    units: np.ndarray,
    feature: int,
    frozen: int,
) -> pd.DataFrame:
    """The table `scores.csv`: a row a depth, from the input on."""
    roles = {feature: _FEATURE, frozen: _FROZEN}
    table = pd.DataFrame(depths, columns=DEPTH_COLUMNS[:3])
    table["accuracy"] = right.mean(1)
    table["standard_error"] = [standard_error(own, units) for own in right]
    table["role"] = [roles.get(number, "") for number in range(len(depths))]
    return table


def explain_choice(table: pd.DataFrame, feature: int, frozen: int, images: int) -> str:
    """The choice in plain words, with its numbers: three sentences."""
    shown = [f"{row.layer} ({100 * row.accuracy:.1f} %)" for row in table.itertuples()]
    best, last = int(table["accuracy"].argmax()), len(table) - 1
    if feature == last:
        near = (
            f"No earlier layer beats the last one, {shown[last]}, by more than chance: the images"
            " are near to what the network was pretrained on, and the last layer is the feature."
        )
    else:
        near = (
            f"A linear classifier does best on {shown[best]} and worse on the last layer,"
            f" {shown[last]}: the images are far from what the network was pretrained on, and"
            f" {table['layer'][feature]} is the feature."
        )
    if feature == 0:
        cut = "No earlier layer was measured, so all layers up to it are trained."
    elif frozen < 0:
        cut = "The scores climb from the first layers on, so all layers up to it are trained."
    elif frozen + 1 < feature:
        cut = (
            f"Up to {shown[frozen + 1]} the scores still climb by more than chance, so what comes"
            f" after {table['layer'][frozen]} is trained and what comes before stays as it is."
        )
    else:
        cut = (
            f"The depths below it do no worse by more than chance, so only what comes after"
            f" {table['layer'][frozen]} is trained."
        )
    return f"{near} {cut} Measured by cross-validation on {images:,} training images."
