"""How models are judged on validation: by cross-entropy, weighted as the training is."""

import numpy as np

LEAST_PROBABILITY = 1e-7  # probability, as Keras clips it


def weigh_images(labels: np.ndarray, class_weight: str) -> np.ndarray:
    """The weight of each image of a part, float64 (n,), 1 on average.

    Args:
        labels: int (n,).
        class_weight: `none`, or `balanced`: n / (classes · images of its class), all counted in
            this part, so that each class with an image here has the same weight.
    """
    if class_weight == "none":
        return np.ones(len(labels))
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (len(labels) / (len(counts) * counts))[places]


def cross_entropies(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cross-entropy of each image, nats, float64 (n,); never that with smoothed labels.

    Args:
        probabilities: float (n, classes).
        labels: int (n,).
    """
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(own, LEAST_PROBABILITY, 1.0))


def accuracy_and_loss(
    probabilities: np.ndarray, labels: np.ndarray, class_weight: str = "none"
) -> dict[str, float]:
    """The accuracy, 0–1, and log loss, nats, with probabilities clipped at 1e-7; six decimals.

    Args:
        probabilities: float (n, classes), rows summing to 1.
        labels: int (n,), the true classes.
        class_weight: how images weigh in the loss, as of `weigh_images`.
    """
    right = probabilities.argmax(1) == labels
    losses = weigh_images(labels, class_weight) * cross_entropies(probabilities, labels)
    return {"accuracy": round(float(right.mean()), 6), "log_loss": round(float(losses.mean()), 6)}


def standard_error(values: np.ndarray, units: np.ndarray, weights: np.ndarray) -> float:
    """The standard error of a weighted mean, where the values of a unit go together.

    A hand that is read wrongly in one photo is often read wrongly in the others, so ten photos of
    it tell less than ten hands. What varies freely is the sum of a unit; where each image is a unit
    of its own and weighs the same, this is the usual error. A weight counts as drawn with its
    image, so one image of a rare class, which decides much, makes the error large.

    Args:
        values: float or bool (n,).
        units: int (n,), of two units or more.
        weights: float (n,), above 0.
    """
    _, places = np.unique(units, return_inverse=True)
    deviations = weights * (values - np.average(values, weights=weights))
    sums = np.bincount(places, deviations)
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums @ sums)) / weights.sum())


def choose_step(losses: np.ndarray, units: np.ndarray, weights: np.ndarray) -> int:
    """The first of several models that does as well as the best, as far as anyone can tell.

    It is the first one whose loss exceeds that of the best by no more than one standard error of
    the difference. What comes first is what was known before; to leave it takes a gain that chance
    alone makes in one case of six.

    Args:
        losses: float (models, n), of the same images; the models in an order from what is least to
            what is most changed.
        units: int (n,), equal for images that belong together. With a single unit, nothing can be
            told, and the first model is taken.
        weights: float (n,), what the images weigh.

    Returns:
        The index of the model.
    """
    if len(np.unique(units)) < 2:
        return 0
    best = losses[int(np.average(losses, axis=1, weights=weights).argmin())]
    gaps = [own - best for own in losses]
    return next(
        n
        for n, gap in enumerate(gaps)
        if np.average(gap, weights=weights) <= standard_error(gap, units, weights)
    )
