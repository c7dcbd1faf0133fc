"""Two classes: how well a model ranks images, and above which probability it should say the second.

Probabilities are of the second class, and used with six decimals.
"""

import numpy as np


def judge_two_classes(
    valid: np.ndarray, valid_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> dict[str, float]:
    """The metrics that only a model of two classes has.

    Args:
        valid, test: float (n,), the probability of the second class.
        valid_labels, test_labels: int (n,), 0 or 1.

    Returns:
        auc (area under the ROC curve, 0–1) and average_precision of the second class on the test
        part, without which there are none of both if that part has one class only. threshold from
        `choose_threshold` on validation, and threshold_accuracy and threshold_balanced_accuracy
        with it on the test part; without them if validation has one class only.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    valid, test = _rounded(valid), _rounded(test)
    found = {}
    if len(np.unique(test_labels)) == 2:
        found["auc"] = round(float(roc_auc_score(test_labels, test)), 6)
        found["average_precision"] = round(float(average_precision_score(test_labels, test)), 6)
    if len(np.unique(valid_labels)) == 2:
        found["threshold"] = threshold = choose_threshold(valid, valid_labels)
        right = (test > threshold) == test_labels
        recalls = [right[test_labels == label].mean() for label in np.unique(test_labels)]
        found["threshold_accuracy"] = round(float(right.mean()), 6)
        found["threshold_balanced_accuracy"] = round(float(np.mean(recalls)), 6)
    return found


def choose_threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The probability above which the second class should be predicted.

    All thresholds between two neighbouring probabilities predict the same. Of these intervals the
    one with the highest balanced accuracy is taken, of several the one whose middle is nearest to
    0.5, and of it the middle: a small change of the model moves it little.

    Args:
        probabilities: float (n,), of the second class.
        labels: int (n,), 0 or 1; both are there.

    Returns:
        Between 0 and 1, with seven decimals.
    """
    edges, place = np.unique(_rounded(probabilities), return_inverse=True)
    ends = np.concatenate([[0.0], edges, [1.0]])
    middles = np.round((ends[:-1] + ends[1:]) / 2, 7)
    # Below the first edge everything is predicted as the second class.
    first, second = (np.bincount(place[labels == k], minlength=len(edges)) for k in (0, 1))
    right_first = np.concatenate([[0], np.cumsum(first)])
    right_second = second.sum() - np.concatenate([[0], np.cumsum(second)])
    # Whole numbers, since rounding must not decide among equals.
    quality = right_first * second.sum() + right_second * first.sum()
    best = middles[quality == quality.max()]
    return float(best[np.argmin(np.abs(best - 0.5))])


def _rounded(probabilities: np.ndarray) -> np.ndarray:
    # As the tables of predictions have them, so that last bits decide nothing.
    return probabilities.astype(float).round(6)
