"""Labels that are probably wrong, by what classifiers think that have not learned from them.

How improbable a label must be before it is wrong depends on how hard the classes are to tell apart.
So two numbers are fitted to all labels at once, by their likelihood: a factor for the logits, which
says how sure the classifier should be (Guo et al. 2017, arXiv:1706.04599), and the share of labels
that were given without a look at the picture, the noise rate (Angluin & Laird 1988,
doi:10.1023/A:1022873112823; for a classifier, Lawrence & Schölkopf 2001). Pictures that are hard
lower the factor; wrong labels are those that no factor explains. By the rule of Bayes each label
then has a probability of being wrong, and their sum is how many there are.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

# Rows of the table: the labels that are likely wrong, and up to a share of the images, within these
# bounds. More than a person would look at helps nobody, and what is likely comes first.
_SHARE, _FEWEST, _MOST = 0.1, 20, 1000
_LIKELY = 0.5  # probability of being wrong
# Twice the logarithm of how much better the labels are explained with noise than without: such a
# value comes by chance in one data set of a hundred (chi squared, one degree of freedom).
_CERTAIN = 6.63
_SCALES, _RATES = (-4.0, 4.0), (-12.0, 0.0)  # natural logarithms, and logits
_STARTS = ((0.0, -6.0), (0.5, -3.0))


class LabelNoise(NamedTuple):
    """How many labels are wrong, and which.

    Attributes:
        rate: the share of all labels, 0–1.
        certain: whether the labels are explained better by it than chance alone would do.
        wrong: float64 (n,), the probability of each label to be wrong.
        losses: float64 (n,), minus the logarithm of each label's probability, nats.
    """

    rate: float
    certain: bool
    wrong: np.ndarray
    losses: np.ndarray

    def find_likely(self) -> np.ndarray:
        """Which labels are probably wrong, bool (n,); none where that may be chance."""
        return (self.wrong >= _LIKELY) & self.certain


def estimate_noise(logits: np.ndarray, labels: np.ndarray) -> LabelNoise:
    """Fits the noise rate of labels.

    A wrong label is taken to be any other class with the same probability. If people mistake
    classes that look alike for each other, fewer are found.

    Args:
        logits: float (n, classes), of classifiers that did not learn from the image; n and classes
            are 1 and 2 at least.
        labels: int (n,).
    """
    n, classes = logits.shape
    rows, logits = np.arange(n), logits.astype(np.float64)

    def explain(scale: float, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        logs = log_softmax(scale * logits, axis=1)
        own = np.exp(logs[rows, labels])
        return logs, own, (1 - rate) * own, rate * (1 - own) / (classes - 1)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        scale, rate = np.exp(at[0]), expit(at[1])
        logs, own, right, wrong = explain(scale, rate)
        whole = np.maximum(right + wrong, np.finfo(float).tiny)
        # The slopes by the logarithm of the scale, and by the logit of the rate.
        turn = scale * own * (logits[rows, labels] - (np.exp(logs) * logits).sum(1))
        by_scale = (1 - rate - rate / (classes - 1)) * turn / whole
        by_rate = ((1 - own) / (classes - 1) - own) / whole * rate * (1 - rate)
        return -np.log(whole).sum(), -np.array([by_scale.sum(), by_rate.sum()])

    def fit(starts: tuple[tuple[float, float], ...], rates: tuple[float, float]) -> tuple:
        found = [
            minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[_SCALES, rates])
            for start in starts
        ]
        best = min(found, key=lambda one: one.fun)
        return best.fun, np.exp(best.x[0]), expit(best.x[1])

    least, scale, rate = fit(_STARTS, _RATES)
    without, *_ = fit(((0.0, _RATES[0]),), (_RATES[0], _RATES[0]))
    *_, right, wrong = explain(scale, rate)
    whole = np.maximum(right + wrong, np.finfo(float).tiny)
    certain = bool(2 * (without - least) >= _CERTAIN)
    return LabelNoise(float(rate), certain, wrong / whole, -np.log(whole))


def tabulate_errors(
    images: pd.DataFrame,
    classes: tuple[str, ...],
    labels: np.ndarray,
    probabilities: np.ndarray,
    noise: LabelNoise,
) -> pd.DataFrame:
    """The table `label_errors.csv`: images that look like another class, the most doubtful first.

    Args:
        images: str columns path and part; n rows.
        classes: their names.
        labels: int (n,).
        probabilities: float (n, classes), of classifiers that did not learn from the image.
        noise: of the labels.

    Returns:
        A row an image: all that are likely, and others, up to a tenth of all, at least 20 and at
        most 1,000 rows. Its columns are path; part; label; looks_like, the most probable class;
        confidence, its probability; self_confidence, that of the label; wrong, the probability that
        the label is wrong, by which the rows fall; likely, `yes` where it is one of those that
        `find_likely` names.
    """
    looks, rows, likely = probabilities.argmax(1), np.arange(len(labels)), noise.find_likely()
    table = images[["path", "part"]].assign(
        label=[classes[label] for label in labels],
        looks_like=[classes[label] for label in looks],
        confidence=probabilities[rows, looks].round(6),
        self_confidence=probabilities[rows, labels].round(6),
        wrong=noise.wrong.round(4),
        likely=np.where(likely, "yes", ""),
    )
    # Rounded first, so that no last digit, which another processor may change, decides the order.
    order = ["likely", "wrong", "self_confidence", "path"]
    table = table[looks != labels].sort_values(order, ascending=[False, False, True, True])
    count = min(_MOST, max(_FEWEST, int(_SHARE * len(labels))))
    return table.head(max(int(likely.sum()), count))
