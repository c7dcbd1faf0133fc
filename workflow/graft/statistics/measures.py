"""How good predictions are, with how sure that is."""

import numpy as np

from graft.common.arrays import in_batches
from graft.judging.losses import LEAST_PROBABILITY, cross_entropies
from graft.statistics import reliability
from graft.statistics.accuracy import accuracy_interval, wilson_interval
from graft.statistics.intervals import mean_interval

_TOP = 5
# So many wrong images weigh as much as what the model itself expects of its losses.
_EXPECTED = 5


def measure(
    probabilities: np.ndarray, labels: np.ndarray, units: np.ndarray
) -> dict[str, float | int]:
    """The metrics of a model on one part.

    All intervals are of 95 % and by unit: images that must stay together count as what they say
    together. The ends of an interval have its name with `_low` and `_high`.

    Args:
        probabilities: float (n, classes), rows summing to 1.
        labels: int (n,), the true classes.
        units: int (n,), equal for images that must stay together.

    Returns:
        accuracy with its interval: Wilson's, of n_effective images. balanced_accuracy (mean recall
        of the classes present) and macro_f1 (over classes present or predicted) with theirs:
        Wilson's, of as many images as the variance of a bootstrap stands for. log_loss (nats,
        probabilities clipped at 1e-7) with its interval. ece (0–1) with its interval, and
        ece_expected, the mean of a perfectly calibrated model with these confidences. With more
        than five classes top5_accuracy. n, units (how many) and n_effective.
    """
    n = len(labels)
    # The order of units, not of images, is that of the draws.
    different, unit = np.unique(units, return_inverse=True)
    right = probabilities.argmax(1) == labels
    interval = accuracy_interval(right, units)
    effective, quantile = interval.effective, interval.quantile
    ends = {"accuracy": (interval.low, interval.high)}

    count = probabilities.shape[1]
    sums = _sum_units(probabilities, labels, unit)
    found = _find_statistics(np.asarray(sums.sum(0)).ravel(), count)
    drawn = _find_statistics(_resample(sums), count)
    for name in ("balanced_accuracy", "macro_f1"):
        value, variance = float(found[name]), float(drawn[name].var())
        # Where nothing varies, as with no wrong image, it is known as well as the accuracy.
        size = min(value * (1 - value) / variance, n) if variance > 1e-12 else effective
        ends[name] = wilson_interval(value * size, size, quantile)
    loss = float(found["log_loss"])
    own = drawn["log_loss"].var() / loss if loss else 0.0
    # Errors that did not happen are in no bootstrap. So the fewer there are, the more counts what
    # the model itself expects.
    weight = _EXPECTED / (_EXPECTED + (1 - right.mean()) * effective)
    spread = own + weight * _expected_spread(probabilities) / effective
    low, high = mean_interval(loss, spread, quantile)
    ends["log_loss"] = low, min(high, -np.log(LEAST_PROBABILITY))

    confidence = probabilities.max(1).astype(float)
    calibrated = reliability.calibrated_errors(confidence)
    ends["ece"] = reliability.calibration_interval(
        float(found["ece"]), drawn["ece"], calibrated, confidence.mean(), ends["accuracy"], quantile
    )
    found["accuracy"] = right.mean()
    metrics: dict[str, float] = {}
    for name, (low, high) in ends.items():
        metrics |= {name: found[name], f"{name}_low": low, f"{name}_high": high}
    metrics["ece_expected"] = calibrated.mean()
    if count > _TOP:
        metrics["top5_accuracy"] = _top_accuracy(probabilities, labels)
    rounded = {name: round(float(value), 6) for name, value in metrics.items()}
    return rounded | {"n": n, "units": len(different), "n_effective": round(effective, 1)}


def _top_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    # Of equal probabilities the first class comes first, as with the class predicted.
    own = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    rank = ((probabilities > own) | ((probabilities == own) & before)).sum(1)
    return float((rank < _TOP).mean())


def _expected_spread(probabilities: np.ndarray) -> float:
    """The variance of an image's loss divided by its mean, if the probabilities were true."""
    variance = entropy = 0.0
    at_once = max(reliability.NUMBERS_AT_ONCE // probabilities.shape[1], 1)
    for some in in_batches(probabilities, at_once):
        block = np.clip(some.astype(float), LEAST_PROBABILITY, 1.0)
        losses = -np.log(block)
        means = (block * losses).sum(1)
        variance += ((block * losses**2).sum(1) - means**2).sum()
        entropy += means.sum()
    return variance / entropy


def _sum_units(probabilities: np.ndarray, labels: np.ndarray, unit: np.ndarray):
    """What each unit adds to the statistics, a sparse array (units, 2 + bins + 3 · classes).

    The columns are: images; loss; in each bin, confidence less right images; and for each class its
    hits, the images predicted as it, and the images of it.
    """
    from scipy.sparse import csr_array

    n, count = probabilities.shape
    predicted, confidence = probabilities.argmax(1), probabilities.max(1).astype(float)
    right = predicted == labels
    first = 2 + reliability.ECE_BINS
    columns = [
        (np.zeros(n, np.int64), np.ones(n)),
        (np.ones(n, np.int64), cross_entropies(probabilities, labels)),
        (2 + reliability.find_bins(confidence), confidence - right),
        (first + labels, right.astype(float)),
        (first + count + predicted, np.ones(n)),
        (first + 2 * count + labels, np.ones(n)),
    ]
    column, value = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    shape = (unit.max() + 1, first + 3 * count)
    return csr_array((value, (np.tile(unit, len(columns)), column)), shape=shape)


def _find_statistics(sums: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """What is computed from sums over images, so that a bootstrap has only to add up.

    Args:
        sums: float (…, columns of `_sum_units`).
        classes: how many there are.

    Returns:
        log_loss, ece, macro_f1 and balanced_accuracy, float (…), as `measure` has them.
    """
    n, loss, gaps = sums[..., 0], sums[..., 1], sums[..., 2 : 2 + reliability.ECE_BINS]
    hits, predicted, own = np.moveaxis(
        sums[..., 2 + reliability.ECE_BINS :].reshape(*sums.shape[:-1], 3, classes), -2, 0
    )
    # A class without an image has no hit either, so its share is 0 and only its count matters.
    f1, recall = 2 * hits / np.maximum(predicted + own, 1), hits / np.maximum(own, 1)
    return {
        "log_loss": loss / n,
        "ece": np.abs(gaps).sum(-1) / n,
        "macro_f1": f1.sum(-1) / (predicted + own > 0).sum(-1),
        "balanced_accuracy": recall.sum(-1) / (own > 0).sum(-1),
    }


def _resample(sums) -> np.ndarray:
    """The sums over as many units as there are, drawn with repetition: float64 (draws, columns)."""
    generator = np.random.default_rng(reliability.DRAWS_SEED)
    units, turned, found = sums.shape[0], sums.T.tocsr(), []
    for count in reliability.count_draws(units):
        drawn = generator.integers(0, units, (count, units))
        drawn += np.arange(count)[:, None] * units
        times = np.bincount(drawn.ravel(), minlength=count * units).reshape(count, units)
        found.append((turned @ times.T.astype(float)).T)
    return np.concatenate(found)
