"""Whether confidences are worth what they say: calibration errors, and bins of confidences."""

from typing import Any

import numpy as np

ECE_BINS = 15  # of the calibration error
_SHOWN = 10  # equal ones, which people look at
_DRAWS = 1000  # of a bootstrap, and of labels for a perfectly calibrated model
DRAWS_SEED = 1
NUMBERS_AT_ONCE = 2**21  # in memory


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins (Guo et al. 2017, arXiv:1706.04599).

    Args:
        confidence: float (n,), the probability of the predicted class.
        right: bool (n,), whether it was the true one.

    Returns:
        The mean gap between confidence and accuracy of a bin, weighted by its share, 0–1.
    """
    gaps = np.bincount(find_bins(confidence), confidence.astype(float) - right, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def calibrated_errors(confidence: np.ndarray) -> np.ndarray:
    """The calibration errors of a model whose confidences are its true chances, in random draws.

    They are above 0, since a share in a bin differs from its expectation by chance: the more, the
    fewer images there are.

    Args:
        confidence: float (n,), the probability of the predicted class.

    Returns:
        float64 (draws,), 0–1.
    """
    generator = np.random.default_rng(DRAWS_SEED)
    # In their order, so that the draws do not depend on that of the images.
    confidence = np.sort(confidence.astype(float))
    starts = np.flatnonzero(np.diff(find_bins(confidence), prepend=-1))
    sums = np.add.reduceat(confidence, starts)
    found = []
    for count in count_draws(len(confidence)):
        right = generator.random((count, len(confidence)), dtype=np.float32) < confidence
        found.append(np.abs(sums - np.add.reduceat(right, starts, axis=1, dtype=np.int64)).sum(1))
    return np.concatenate(found) / len(confidence)


def calibration_interval(
    ece: float,
    drawn: np.ndarray,
    calibrated: np.ndarray,
    confidence: float,
    accuracy: tuple[float, float],
    quantile: float,
) -> tuple[float, float]:
    """The interval of a calibration error.

    Chance alone makes the error larger, and a bootstrap adds the same once more. So below, this
    bias is taken off, and the end is 0 where a perfectly calibrated model may have as much. Above,
    the end is that of the bootstrap, or the largest gap between the mean confidence and the
    interval of the accuracy: no error is smaller than the gap of the means.

    Args:
        ece: as measured.
        drawn: of a bootstrap.
        calibrated: of a perfectly calibrated model.
        confidence: the mean.
        accuracy: its interval.
        quantile: how many standard errors wide it is.
    """
    unbiased = 2 * ece - drawn.mean()
    low = max(unbiased - quantile * drawn.std(), 0.0)
    if ece <= np.quantile(calibrated, 0.975):
        low = 0.0
    gap = max(confidence - accuracy[0], accuracy[1] - confidence)
    return min(low, ece), float(max(np.quantile(drawn, 0.975), gap, ece))


def bin_confidences(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Images by their confidence, in ten equal bins of which empty ones are left out.

    Args:
        confidence: float (n,), the probability of the predicted class.
        right: bool (n,), whether it was the true one.

    Returns:
        Of each bin its ends; n, its images; said, their mean confidence; true, the share that is
        right; and low and high, between which this share is in 19 of 20 cases, by chance, if the
        confidences are true (the binomial distribution of n images with their mean confidence).
    """
    from scipy.special import bdtr

    number = find_bins(confidence, _SHOWN)
    found = []
    for k in np.unique(number):
        own = number == k
        n, said = int(own.sum()), float(confidence[own].mean())
        # The first count whose lower tail is not rare, and the first that leaves no more above.
        tails = bdtr(np.arange(n + 1), n, min(said, 1.0))
        low, high = int((tails < 0.025).sum()), int((tails < 0.975).sum())
        found.append(
            {
                "from": k / _SHOWN,
                "to": (k + 1) / _SHOWN,
                "n": n,
                "said": said,
                "true": float(right[own].mean()),
                "low": low / n,
                "high": min(high, n) / n,
            }
        )
    return found


def find_bins(confidence: np.ndarray, count: int = ECE_BINS) -> np.ndarray:
    """The number, from 0, of the bin of each confidence: int64 (n,). A bin has its upper edge."""
    return np.clip(np.ceil(confidence * count).astype(int) - 1, 0, count - 1)


def count_draws(n: int) -> list[int]:
    """How many draws of n numbers to make at a time, so that they need little memory."""
    most = max(NUMBERS_AT_ONCE // n, 1)
    return [min(most, _DRAWS - start) for start in range(0, _DRAWS, most)]
