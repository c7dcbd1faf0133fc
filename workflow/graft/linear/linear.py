"""Linear classifiers by scikit-learn, with their regularisation chosen by cross-validation.

All run on one thread: another number would divide sums in another way and change the last bits.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from graft.judging.calibration import fit_scale
from graft.judging.losses import weigh_images
from graft.linear.folds import divide_folds, judged_rows, sample_images

# C of scikit-learn, the inverse of the penalty on squared weights of standardised features.
_GRID = tuple(10.0 ** (np.arange(-12, 3) / 2))
_PATIENCE = 2  # steps of the grid without a better one
# Rows at most, and images at least, that C is chosen with. The optimum is flat, and C belongs to
# the features: it is a belief about the weights that the number of images does not change.
_ROWS, _IMAGES = 3000, 500
LINEAR_STEPS = 10_000  # of an optimiser
_ABSENT = -1000.0  # the output of a class without an image to learn from
# When an optimiser has arrived: while C is chosen, and for the head itself.
_TOLERANCE = {"logistic": (1e-4, 1e-6), "svm": (1e-1, 1e-4)}


class LinearRule(NamedTuple):
    """What is fitted.

    Attributes:
        kind: `logistic`, the multinomial regression, or `svm`, the linear support vector machine
            with a squared hinge, a class against the rest.
        classes: how many there are.
        class_weight: `none`, or `balanced`: each class has the same weight, in the fit and in the
            choice.
        seed: draws the folds, and the images for the choice where there are too many.
    """

    kind: str
    classes: int
    class_weight: str = "none"
    seed: int = 0


class Scores(NamedTuple):
    """How a classifier did on images that it had not learned from.

    Attributes:
        regularisation: C.
        scale: what its outputs are multiplied by before a softmax makes them probabilities.
        loss: the mean log loss of these, nats, weighted as the training is.
        losses: float64 (k,), that of each of the images of `judged_rows`, nats.
        right: bool (k,), whether the largest output is that of the image's class.
    """

    regularisation: float
    scale: float
    loss: float
    losses: np.ndarray
    right: np.ndarray


class Linear(NamedTuple):
    """A fitted classifier.

    Attributes:
        kernel: float64 (d, classes).
        bias: float64 (classes,).
        converged: whether the optimiser arrived within LINEAR_STEPS steps.
        scores: of the choice of C, each image judged by a classifier that had seen none of its
            unit; None where C was given.
    """

    kernel: np.ndarray
    bias: np.ndarray
    converged: bool
    scores: Scores | None = None


def fit_linear(
    rule: LinearRule, features: np.ndarray, labels: np.ndarray, units: np.ndarray
) -> Linear | None:
    """Chooses C on at most about _ROWS rows of the images, drawn by class, and fits all of them.

    20,000 rows of 2,048 features take one to two minutes on one core. A support vector machine
    needs memory for another copy of the features, twice as large.

    Args:
        rule: what is fitted.
        features: float64 (m · n, d), standardised: of n images, then of a first view of all of
            them, then of the next. Only the images themselves are judged by.
        labels: int64 (n,), each a class.
        units: int64 (n,), equal for images that must stay together. Views go with their image.

    Returns:
        The classifier, or None where the images cannot be divided into folds.
    """
    times = len(features) // len(labels)
    chosen = sample_images(labels, max(_IMAGES, _ROWS // times), rule.seed)
    divided = divide_folds(labels[chosen], units[chosen], rule.seed)
    if not divided:
        return None
    some = features[_with_views(chosen, len(labels), times)]
    scores = cross_validate(rule, some, labels[chosen], divided)
    c, labels = scores.regularisation, np.tile(labels, times)
    fitted = fit_once(rule, features, labels, c, _TOLERANCE[rule.kind][1])
    return fitted._replace(scores=scores)


def fit_once(
    rule: LinearRule, features: np.ndarray, labels: np.ndarray, c: float, tolerance: float
) -> Linear:
    """Fits a classifier with a known C.

    Args:
        rule: what is fitted.
        features: float32 or float64 (n, d), standardised; in float32 a fit takes half as long.
        labels: int64 (n,), two classes or more.
        c: C of scikit-learn.
        tolerance: the largest slope of the mean loss at which the optimiser has arrived.
    """
    estimator = _estimator(rule, features.shape, tolerance).set_params(C=c)
    with threadpool_limits(1), warnings.catch_warnings(record=True, action="always") as caught:
        coordinates, basis = _span(features)
        kernel, bias = _weights(estimator.fit(coordinates, labels), rule.classes)
        if basis is not None:
            kernel = basis @ kernel
    converged = not any(issubclass(one.category, ConvergenceWarning) for one in caught)
    return Linear(kernel, bias, converged)


def cross_validate(
    rule: LinearRule,
    features: np.ndarray,
    labels: np.ndarray,
    divided: Sequence[tuple[np.ndarray, np.ndarray]],
    lose: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> Scores:
    """How well a classifier does with the C that suits it best.

    That is the C with the lowest log loss of the images judged. It has no ties, and depends less
    on chance than the accuracy, where one image more or less decides: on photos of signs
    and of things the C of the best accuracy, and the largest penalty within a standard error of
    it, both gave worse probabilities on other images, and no better accuracy. The grid is climbed
    from the largest penalty on, and left where _PATIENCE steps in a row are no better: the fits
    beyond take the longest.

    Args:
        rule, features, labels: as of `fit_linear`.
        divided: of `divide_folds`; one fold or more.
        lose: what is minimised in place of the log loss: of outputs (k, classes) and labels (k,)
            the loss of each image.
    """
    n, (rows, width) = len(labels), features.shape
    learned = [_with_views(chosen, n, rows // n) for chosen, _ in divided]
    judged = judged_rows(divided)
    own = labels[judged]
    weights = weigh_images(own, rule.class_weight)
    near = _TOLERANCE[rule.kind][0]  # enough to choose by
    estimators = [_estimator(rule, (len(seen), width), near) for seen in learned]
    best, place = None, 0
    quiet = warnings.catch_warnings(action="ignore", category=ConvergenceWarning)
    with threadpool_limits(1), quiet:
        features, _ = _span(features)
        for number, c in enumerate(_GRID):
            outputs = np.empty((n, rule.classes))
            for estimator, seen, (_, others) in zip(estimators, learned, divided, strict=True):
                estimator.set_params(C=c).fit(features[seen], labels[seen % n])
                kernel, bias = _weights(estimator, rule.classes)
                outputs[others] = features[others] @ kernel + bias
            found = outputs[judged]
            scale = fit_scale(found, own, weights) if rule.kind == "svm" else 1.0
            if lose is None:
                losses = -log_softmax(scale * found, axis=1)[np.arange(len(own)), own]
            else:
                losses = lose(found, own)
            loss = float(np.average(losses, weights=weights))
            if best is None or loss < best.loss:
                right = found.argmax(1) == own
                best, place = Scores(float(c), scale, loss, losses, right), number
            elif number - place == _PATIENCE:
                break
    return best


def _span(features: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Features in a basis of the space that their rows span, where these are fewer than columns.

    The weights that a squared penalty leaves are in that space, and the penalty is the same in all
    orthonormal bases, so the classifier is the same; with a third of the columns it is fitted in a
    third of the time (Hastie, Tibshirani 2004, doi:10.1093/biostatistics/kxh010).

    Args:
        features: (n, d).

    Returns:
        Features (n, min(n, d)), and the basis (d, n), by which a kernel of these becomes one of all
        columns; None where the features are as they were.
    """
    if len(features) >= features.shape[1]:
        return features, None
    basis, triangle = np.linalg.qr(features.T)
    return np.ascontiguousarray(triangle.T), basis


def _with_views(chosen: np.ndarray, n: int, times: int) -> np.ndarray:
    """The rows of some of n images, and of their views: int64 (times · chosen,)."""
    return (chosen + n * np.arange(times)[:, None]).ravel()


def _estimator(rule: LinearRule, shape: tuple[int, int], tolerance: float):
    weight = None if rule.class_weight == "none" else rule.class_weight
    made = {"tol": tolerance, "max_iter": LINEAR_STEPS, "class_weight": weight}
    if rule.kind == "logistic":
        return LogisticRegression(warm_start=True, **made)
    # With few images for a feature the primal problem takes a thousand times as long.
    return LinearSVC(dual=shape[0] < 4 * shape[1], random_state=rule.seed, **made)


def _weights(estimator, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (d, classes) and bias (classes,) of a fitted estimator, with a column for each class.

    scikit-learn has one column for two classes. Here it is given to the second and taken from the
    first: whole for the margins of a machine, half of it for the logit, of which the softmax of
    both takes the difference.
    """
    coefficients, offsets = estimator.coef_, estimator.intercept_
    if len(estimator.classes_) == 2:
        share = 0.5 if isinstance(estimator, LogisticRegression) else 1.0
        coefficients = share * np.concatenate([-coefficients, coefficients])
        offsets = share * np.concatenate([-offsets, offsets])
    kernel = np.zeros((coefficients.shape[1], classes))
    bias = np.full(classes, _ABSENT)
    kernel[:, estimator.classes_], bias[estimator.classes_] = coefficients.T, offsets
    return kernel, bias
