"""How good predictions are, with how sure that is."""

import numpy as np

_BINS = 15


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
    """The metrics of a model on one part.

    Args:
        probabilities: float (n, classes), rows summing to 1.
        labels: int (n,), the true classes.

    Returns:
        accuracy with its 95 % Wilson interval (accuracy_low, accuracy_high), balanced_accuracy
        (mean recall of the classes present), macro_f1 (over classes present or predicted),
        log_loss (nats, probabilities clipped at 1e-7), ece (0–1) and n.
    """
    from sklearn.metrics import f1_score, recall_score

    predicted = probabilities.argmax(1)
    right = predicted == labels
    low, high = wilson_interval(int(right.sum()), len(labels))
    own = probabilities[np.arange(len(labels)), labels].astype(float)
    values = {
        "accuracy": right.mean(),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": recall_score(
            labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
        ),
        "macro_f1": f1_score(labels, predicted, average="macro", zero_division=0),
        "log_loss": -np.log(np.clip(own, 1e-7, 1.0)).mean(),
        "ece": calibration_error(probabilities.max(1), right),
    }
    return {name: round(float(value), 6) for name, value in values.items()} | {"n": len(labels)}


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion (Wilson 1927), within 0–1.

    Raises:
        ValueError: n is 0.
    """
    from scipy.stats import binomtest

    low, high = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return float(low), float(high)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins (Guo et al. 2017, arXiv:1706.04599).

    Args:
        confidence: float (n,), the probability of the predicted class.
        right: bool (n,), whether it was the true one.

    Returns:
        The mean gap between confidence and accuracy of a bin, weighted by its share, 0–1.
    """
    bins = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(bins, confidence.astype(float) - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
