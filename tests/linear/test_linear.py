"""Linear classifiers over features: what scikit-learn finds, whatever the shape of the features."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from graft.linear.axes import find_axes
from graft.linear.linear import LinearRule, fit_once

KINDS = {
    "logistic": LogisticRegression(tol=1e-8, max_iter=10_000),
    "svm": LinearSVC(tol=1e-8, dual=True, max_iter=100_000, random_state=0),
}


@pytest.mark.parametrize(("n", "width"), [(30, 80), (300, 20)])
def test_axes_span_the_rows_and_are_independent(n: int, width: int) -> None:
    generator = np.random.default_rng(n)
    features = generator.normal(size=(n, width)) * 10.0 ** generator.uniform(-2, 2, width)
    axes = find_axes(features)
    along = features @ axes.basis
    assert along.shape == (n, min(n, width))
    assert np.allclose(axes.basis.T @ axes.basis, np.eye(min(n, width)))
    assert np.allclose(along @ axes.basis.T, features)
    assert np.allclose(along.T @ along / n, np.diag(axes.squares), atol=1e-9 * axes.squares.max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("n", "width"), [(40, 300), (60, 60), (200, 30)])
def test_a_classifier_is_that_of_scikit_learn(kind: str, classes: int, n: int, width: int) -> None:
    """Also where it is fitted in the space of few rows, where rows are there several times, and
    with the axes of a few rows, which do not span all."""
    generator = np.random.default_rng(n + classes)
    features = generator.normal(size=(n, width))
    features[n // 2 :] = features[: n - n // 2]
    labels = (features[:, :classes] + 0.5 * generator.normal(size=(n, classes))).argmax(1)
    own = KINDS[kind].set_params(C=0.05).fit(features, labels)
    others = generator.normal(size=(500, width))
    wanted = own.decision_function(others)
    for dtype, some, near in (
        (np.float64, n, 1e-4),
        (np.float64, 10, 1e-4),
        (np.float32, n, 2e-3),
    ):
        rule, axes = LinearRule(kind, classes), find_axes(features[:some])
        found = fit_once(rule, features.astype(dtype), axes, labels, 0.05, 1e-8)
        outputs = others @ found.kernel + found.bias
        assert found.converged and found.kernel.shape == (width, classes)
        if classes == 2:
            outputs = outputs[:, 1] - outputs[:, 0] if kind == "logistic" else outputs[:, 1]
        assert np.abs(outputs - wanted).max() < near * np.abs(wanted).max()
