"""Labels that are probably wrong, by what classifiers think that have not learned from them.

A classifier that has learned from other images gives the label of an image a low probability if the
label is wrong: of all scores that were compared, this self-confidence ranks wrong labels about
as well as any (Kuan & Mueller 2022, https://openreview.net/forum?id=SVEI8b0ZxVZ). How many there
are is estimated by confident learning (Northcutt et al. 2021, arXiv:1911.00068).
"""

import numpy as np
import pandas as pd

# Rows of the table: a share of the images, within these bounds. More than a person would look at
# helps nobody, and what is likely comes first.
_SHARE, _FEWEST, _MOST = 0.1, 20, 1000


def find_likely_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which images look like another class than their label says, and confidently so.

    An image is confidently of a class if its probability is at least the mean that images with this
    label have. So a class that is hard to tell has a lower threshold, and one that the classifier
    names too often a higher one.

    Args:
        probabilities: float (n, classes), of classifiers that did not learn from the image.
        labels: int (n,).

    Returns:
        bool (n,): the cells beside the diagonal of the confident joint, but for images whose
        label is the most probable class.
    """
    thresholds = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels):
        thresholds[label] = probabilities[labels == label, label].mean()
    looks = probabilities.argmax(1)
    return (looks != labels) & (probabilities.max(1) >= thresholds[looks])


def tabulate_errors(
    images: pd.DataFrame, classes: tuple[str, ...], labels: np.ndarray, probabilities: np.ndarray
) -> pd.DataFrame:
    """The table `label_errors.csv`: images that look like another class, the most doubtful first.

    Args:
        images: str columns path and part; n rows.
        classes: their names.
        labels: int (n,).
        probabilities: float (n, classes), of classifiers that did not learn from the image.

    Returns:
        A row an image, of at most a tenth of them but up to 20, and never more than 1,000: path;
        part; label; looks_like, the most probable class; confidence, its probability;
        self_confidence, that of the label, by which the rows rise; likely, `yes` for those that
        `find_likely_errors` finds.
    """
    looks, rows = probabilities.argmax(1), np.arange(len(labels))
    table = images[["path", "part"]].assign(
        label=[classes[label] for label in labels],
        looks_like=[classes[label] for label in looks],
        confidence=probabilities[rows, looks].round(6),
        self_confidence=probabilities[rows, labels].round(6),
        likely=np.where(find_likely_errors(probabilities, labels), "yes", ""),
    )
    # Rounded first, so that no last digit, which another processor may change, decides the order.
    table = table[looks != labels].sort_values(["self_confidence", "path"], kind="stable")
    return table.head(min(_MOST, max(_FEWEST, int(_SHARE * len(labels)))))
