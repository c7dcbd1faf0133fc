"""Folds of a part for cross-validation, which keep together what the split keeps together."""

import warnings
from collections.abc import Sequence

import numpy as np

_FOLDS = 5
# Why a setting is refused that needs folds.
INDIVISIBLE = (
    "the training part cannot be divided so that copies and groups stay together and both sides"
    " have two classes"
)


def sample_images(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Some of the images, each class with the same share of them as of all.

    Args:
        labels: int (n,).
        most: how many; all without a draw if there are no more.
        seed: draws them.

    Returns:
        Their indices in rising order, int64 (min(n, most),).
    """
    n = len(labels)
    if n <= most:
        return np.arange(n)
    order = np.random.default_rng(seed).permutation(n)
    place = np.empty(n)  # of an image within its class, spread evenly between 0 and 1
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return np.sort(order[np.argsort(place[order], kind="stable")[:most]])


def divide_folds(
    labels: np.ndarray, units: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divides images so that no unit is on both sides and classes are spread evenly.

    There are _FOLDS folds, or fewer where no class has as many units. A class with fewer units than
    there are folds is in some of them only. A class that is in one fold alone cannot be learned
    from the others: its images are left out there, neither learned from nor judged by, since a unit
    of theirs may be judged by.

    Args:
        labels: int (n,).
        units: int (n,), equal for images that must stay together.
        seed: draws the folds.

    Returns:
        For each fold, the indices of the images to learn from, of two classes or more, and of those
        to judge by, of the same classes, one or more: int64, in rising order. No fold at all where
        all images of all classes but one must stay together.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    counts = [len(np.unique(units[labels == label])) for label in np.unique(labels)]
    count = min(_FOLDS, max(counts))
    if count < 2:
        return []
    kind = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        drawn = list(kind.split(labels, labels, units))
    found = []
    for learned, judged in drawn:
        judged = judged[np.isin(labels[judged], labels[learned])]
        if len(judged) and len(np.unique(labels[learned])) > 1:
            found.append((learned, judged))
    return found


def judged_rows(divided: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The indices of all images that some fold judges by: int64, in rising order."""
    return np.sort(np.concatenate([judged for _, judged in divided]))
