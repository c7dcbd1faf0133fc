"""Linear classifiers, with their regularisation chosen by cross-validation.

They are those of scikit-learn, `LogisticRegression` and `LinearSVC`, with C as it is there. All run
on one thread: another number would divide sums in another way and change the last bits.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from graft.judging.calibration import fit_scale
from graft.judging.losses import weigh_images
from graft.linear.axes import Axes, find_axes
from graft.linear.fitting import Penalty, Weights, fit_weights, lose_hinge, lose_logistic
from graft.linear.folds import divide_folds, judged_rows, sample_images

# C of scikit-learn, the inverse of the penalty on squared weights of standardised features.
_GRID = tuple(10.0 ** (np.arange(-12, 3) / 2))
_PATIENCE = 2  # steps of the grid without a better one
# Rows at most, and images at least, that C is chosen with. The optimum is flat, and C belongs to
# the features: it is a belief about the weights that the number of images does not change.
_ROWS, _IMAGES = 3000, 500
_ABSENT = -1000.0  # the output of a class without an image to learn from
# When the optimiser has arrived: while C is chosen, and for the head itself.
_NEAR, _ARRIVED = 1e-4, 1e-7


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
    axes = find_axes(some)
    scores = cross_validate(rule, some, axes, labels[chosen], divided)
    c, labels = scores.regularisation, np.tile(labels, times)
    return fit_once(rule, features, axes, labels, c)._replace(scores=scores)


def fit_once(
    rule: LinearRule,
    features: np.ndarray,
    axes: Axes,
    labels: np.ndarray,
    c: float,
    tolerance: float = _ARRIVED,
) -> Linear:
    """Fits a classifier with a known C.

    Args:
        rule: what is fitted.
        features: float32 or float64 (n, d), standardised; in float32 a fit takes half as long.
        axes: of these, or of like ones: they change how long it takes, and not what is found.
        labels: int64 (n,), two classes or more.
        c: C of scikit-learn.
        tolerance: of `fit_weights`.
    """
    present = np.unique(labels)
    with threadpool_limits(1):
        start = _start(features, present)
        weights = _fit(rule, features, axes, labels, present, c, start, tolerance)
    return Linear(*_fill(weights, present, rule.classes), weights.converged)


def cross_validate(
    rule: LinearRule,
    features: np.ndarray,
    axes: Axes,
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
        axes: of the features.
        divided: of `divide_folds`; one fold or more.
        lose: what is minimised in place of the log loss: of outputs (k, classes) and labels (k,)
            the loss of each image.
    """
    n, rows = len(labels), len(features)
    learned = [_with_views(chosen, n, rows // n) for chosen, _ in divided]
    judged = judged_rows(divided)
    own = labels[judged]
    weights = weigh_images(own, rule.class_weight)
    best, place = None, 0
    with threadpool_limits(1):
        # All classifiers are in the space of these rows: the penalty is the same in any basis of
        # it (Hastie, Tibshirani 2004, doi:10.1093/biostatistics/kxh010).
        turned = (features @ axes.basis).astype(np.float32)
        along, folds = Axes(None, axes.squares), [turned[seen] for seen in learned]
        present = [np.unique(labels[seen % n]) for seen in learned]
        found = [_start(*each) for each in zip(folds, present, strict=True)]
        for number, c in enumerate(_GRID):
            outputs = np.empty((n, rule.classes))
            for fold, (seen, (_, others)) in enumerate(zip(learned, divided, strict=True)):
                given = folds[fold], along, labels[seen % n], present[fold]
                found[fold] = _fit(rule, *given, c, found[fold], _NEAR)
                kernel, bias = _fill(found[fold], present[fold], rule.classes)
                outputs[others] = turned[others] @ kernel.astype(np.float32) + bias
            margins = outputs[judged]
            scale = fit_scale(margins, own, weights) if rule.kind == "svm" else 1.0
            if lose is None:
                losses = -log_softmax(scale * margins, axis=1)[np.arange(len(own)), own]
            else:
                losses = lose(margins, own)
            loss = float(np.average(losses, weights=weights))
            if best is None or loss < best.loss:
                right = margins.argmax(1) == own
                best, place = Scores(float(c), scale, loss, losses, right), number
            elif number - place == _PATIENCE:
                break
    return best


def _with_views(chosen: np.ndarray, n: int, times: int) -> np.ndarray:
    """The rows of some of n images, and of their views: int64 (times · chosen,)."""
    return (chosen + n * np.arange(times)[:, None]).ravel()


def _start(features: np.ndarray, present: np.ndarray) -> Weights:
    return Weights(np.zeros((features.shape[1], len(present))), np.zeros(len(present)))


def _fit(
    rule: LinearRule,
    features: np.ndarray,
    axes: Axes,
    labels: np.ndarray,
    present: np.ndarray,
    c: float,
    start: Weights,
    tolerance: float,
) -> Weights:
    """A fit of the classes that are there, which has a column for each of them."""
    strength = 1 / (c * len(labels))
    if rule.kind == "svm":
        lose, penalty = lose_hinge, Penalty(strength, of_bias=True)
    else:
        # scikit-learn penalises the one logit of two classes, whose square is twice that of both.
        twice = 2 if len(present) == 2 else 1
        lose, penalty = lose_logistic, Penalty(twice * strength, of_bias=False)
    importance = weigh_images(labels, rule.class_weight)
    places = np.searchsorted(present, labels)
    return fit_weights(lose, features, places, importance, penalty, axes, start, tolerance)


def _fill(weights: Weights, present: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (d, classes) and bias (classes,), with a column for each class."""
    kernel = np.zeros((len(weights.kernel), classes))
    bias = np.full(classes, _ABSENT)
    kernel[:, present], bias[present] = weights.kernel, weights.bias
    return kernel, bias
