"""Folds of a part for cross-validation, which keep together what the split keeps together."""

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
    counts = [len(np.unique(units[labels == label])) for label in np.unique(labels)]
    count = min(_FOLDS, max(counts))
    if count < 2:
        return []
    fold = _deal(labels, units, count, seed)
    found = []
    for number in range(count):
        learned, judged = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        judged = judged[np.isin(labels[judged], labels[learned])]
        if len(judged) and len(np.unique(labels[learned])) > 1:
            found.append((learned, judged))
    return found


def _deal(labels: np.ndarray, units: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold of each image, int64 (n,): each unit goes where its classes are rarest so far.

    The largest units come first; the order of equal ones is drawn. (StratifiedGroupKFold of
    scikit-learn has the same aim, but looks at all classes for each unit: 2,812 images take 0.6 s
    in place of 0.02.)
    """
    drawn = np.random.default_rng(seed).permutation(len(labels))
    _, first, inverse, sizes = np.unique(
        units[drawn], return_index=True, return_inverse=True, return_counts=True
    )
    members = np.split(drawn[np.argsort(inverse, kind="stable")], np.cumsum(sizes)[:-1])
    _, codes, totals = np.unique(labels, return_inverse=True, return_counts=True)
    filled, images = [[0] * count for _ in totals], [0] * count
    fold, wide = np.empty(len(labels), np.int64), totals.tolist()
    for unit in np.lexsort((first, -sizes)):
        classes = codes[members[unit]].tolist()
        loads = [
            (sum(filled[code][one] / wide[code] for code in classes), images[one])
            for one in range(count)
        ]
        place = loads.index(min(loads))
        for code in classes:
            filled[code][place] += 1
        images[place] += len(classes)
        fold[members[unit]] = place
    return fold


def judged_rows(divided: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The indices of all images that some fold judges by: int64, in rising order."""
    return np.sort(np.concatenate([judged for _, judged in divided]))
