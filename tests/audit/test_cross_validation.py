"""Every image judged by classifiers that have not learned from it, and labels that look wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from digits import digits, parts, store
from graft.audit import cross_validation
from graft.audit.cross_validation import judge_all, judge_size
from graft.audit.label_errors import estimate_noise, tabulate_errors
from graft.common.tables import read_json, read_table, write_table
from graft.judging.calibration import as_logits
from images import Capture, run

COLUMNS = ["path", "part", "label", "looks_like", "confidence", "self_confidence"]
COLUMNS += ["wrong", "likely"]
WRITTEN = ("cross_validation.json", "label_errors.csv")


def found() -> tuple[dict, pd.DataFrame, list[bytes]]:
    """Runs the stage here: its numbers, its table with numbers, and the bytes of both."""
    run("cross_validation")
    summary = read_json(Path("reports/cross_validation.json"))
    numbers = {"confidence": float, "self_confidence": float}
    errors = read_table(Path("reports/label_errors.csv")).astype(numbers)
    return summary, errors, [Path("reports", name).read_bytes() for name in WRITTEN]


def planted(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels, some of them changed to another class; and which these are."""
    generator, classes = np.random.default_rng(seed), labels.max() + 1
    wrong = generator.permutation(len(labels))[: round(share * len(labels))]
    changed = labels.copy()
    changed[wrong] = (labels[wrong] + generator.integers(1, classes, len(wrong))) % classes
    return changed, np.isin(np.arange(len(labels)), wrong)


def test_planted_errors_come_first(empty: Path) -> None:
    """Three labels of a hundred are changed, in all parts; the stage lists nearly all of them."""
    features, truth = digits(900)
    labels, wrong = planted(truth, 0.03, 1)
    judged, probabilities = judge_all(features, labels, np.arange(900), 10)
    assert judged.tolist() == list(range(900))
    own = probabilities[np.arange(900), labels]
    assert roc_auc_score(wrong, -own) > 0.98
    assert wrong[np.argsort(own)[: 2 * wrong.sum()]].mean() > 0.9 / 2

    store({"top": features}, labels)
    summary, errors, first = found()
    assert list(errors) == COLUMNS
    rows = errors["path"].str.extract(r"image (\d+)\.png")[0].astype(int).to_numpy()
    assert wrong[rows[: 2 * wrong.sum()]].sum() >= 0.9 * wrong.sum()
    assert (errors["part"] == parts(900)[rows]).all()
    assert set(errors["part"][wrong[rows]]) == {"train", "valid", "test"}
    assert (errors["label"] == [f"class {labels[row]}" for row in rows]).all()
    named = wrong[rows] & (errors["looks_like"] == [f"class {truth[row]}" for row in rows])
    assert named.sum() >= 0.8 * wrong.sum()
    assert (errors["looks_like"] != errors["label"]).all()
    assert errors["wrong"].is_monotonic_decreasing
    assert (errors["confidence"] >= errors["self_confidence"]).all()
    likely = errors["likely"] == "yes"
    assert summary["label_errors"] == likely.sum() >= 0.6 * wrong.sum()
    # What is promised holds, give or take three deviations of such a count.
    true, promised = wrong[rows][likely].sum(), summary["label_errors_true"]
    assert abs(true - promised) <= 3 * (1 + promised * (1 - promised / likely.sum())) ** 0.5
    assert summary["label_noise"] == pytest.approx(0.03, abs=0.015)
    assert summary["n"] == summary["units"] == 900
    assert summary["accuracy_low"] < summary["accuracy"] < summary["accuracy_high"]
    assert summary["accuracy"] == pytest.approx(1 - len(errors) / 900, abs=0.01)
    assert summary["headline"] == "test" and summary["test_units"] == 180
    assert found()[-1] == first


def test_nobody_is_judged_by_what_has_seen_their_unit() -> None:
    """Ten pictures of each hand, which shows a sign at random: nothing can be learned of signs."""
    generator = np.random.default_rng(1)
    units = np.arange(400) // 10
    labels = generator.integers(0, 2, 40)[units]
    features = generator.normal(size=(40, 60))[units].astype(np.float32)
    features += 0.01 * generator.normal(size=features.shape).astype(np.float32)
    accuracies = []
    for own in (units, np.arange(400)):
        judged, probabilities = judge_all(features, labels, own, 2)
        accuracies.append((probabilities.argmax(1) == labels[judged]).mean())
    assert accuracies[0] < 0.75 and accuracies[1] > 0.95


def test_moments_are_of_what_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image far away moves the scale of others only where it is learned from."""
    features, labels = digits(200)
    features[0] += 1e4
    seen = []
    own = cross_validation.find_moments
    spy = lambda rows: seen.append(rows) or own(rows)  # noqa: E731
    monkeypatch.setattr(cross_validation, "find_moments", spy)
    judge_all(features, labels, np.arange(200), 10)
    # The first is of the choice of C.
    folds = seen[1:]
    assert [sum((rows > 5e3).any() for rows in folds), len(folds)] == [4, 5]
    assert all(len(rows) < 200 for rows in folds)


def test_a_large_part_is_learned_from_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are judged nevertheless, and not much worse."""
    features, labels = digits(1500)
    judged, whole = judge_all(features, labels, np.arange(1500), 10)
    monkeypatch.setattr(cross_validation, "_WORK", 300 * 64 * 10)
    monkeypatch.setattr(cross_validation, "_CHOICE", 300)
    again, some = judge_all(features, labels, np.arange(1500), 10)
    assert again.tolist() == judged.tolist()
    right = [(probabilities.argmax(1) == labels).mean() for probabilities in (whole, some)]
    assert 0.8 < right[1] < right[0]


def test_a_class_of_one_unit_is_not_judged(empty: Path, capsys: Capture) -> None:
    features, labels = digits(60, 3)
    one = np.where(labels == 2, 99, np.arange(60))
    for units, judged in [(one, int((labels < 2).sum())), (np.zeros(60, int), 0)]:
        store({"top": features}, labels, units=units)
        summary, errors, _ = found()
        assert summary["n"] == judged and "class 2" not in set(errors["label"])
        assert (summary["accuracy"] is None) == (judged == 0)
        printed = capsys.readouterr().err
        assert f"warning: {60 - judged} of 60 images could not be judged" in printed
        assert summary["headline"] == "cross_validation"
        assert "would only show an accuracy above" in printed


def test_a_part_of_few_units_tells_little() -> None:
    for units, bound in {0: 0.0, 9: 0.7009, 99: 0.9626, 100: 0.963}.items():
        size = judge_size(units)
        assert size["headline"] == ("test" if units == 100 else "cross_validation")
        assert size["test_units"] == units
        assert size["test_bound"] == pytest.approx(bound, abs=2e-4)


@st.composite
def judgements(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that know them more or less."""
    n, classes = draw(st.integers(1, 80)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = generator.integers(0, classes, n)
    outputs = generator.normal(size=(n, classes))
    outputs[np.arange(n), labels] += draw(st.sampled_from([0.0, 1.0, 4.0]))
    return labels, softmax(outputs, 1)


@given(judgements())
def test_the_table_keeps_its_promises(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = case
    n, classes = probabilities.shape
    images = pd.DataFrame({"path": [f"{i}.png" for i in range(n)], "part": "train"})
    names = tuple("abcde")[:classes]
    noise = estimate_noise(as_logits(probabilities), labels)
    table = tabulate_errors(images, names, labels, probabilities, noise)
    wrong = probabilities.argmax(1) != labels
    likely = noise.find_likely()
    assert len(table) == min(int(wrong.sum()), max(20, int(likely.sum())))
    assert table["wrong"][table["likely"] == "yes"].is_monotonic_decreasing
    rows = table["path"].str.removesuffix(".png").astype(int).to_numpy()
    assert len(set(rows)) == len(rows) and wrong[rows].all()
    assert (table["confidence"] > table["self_confidence"] - 1e-6).all()
    assert not (likely & ~wrong).any()
    assert ((table["likely"] == "yes") == likely[rows]).all()
    assert 0 <= noise.rate <= 0.5 and ((noise.wrong >= 0) & (noise.wrong <= 1)).all()
    assert np.isfinite(noise.losses).all() and (noise.losses >= 0).all()


def hard(n: int, classes: int, sure: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are as sure as they should be, and labels that are drawn by them."""
    generator = np.random.default_rng(seed)
    logits = sure * generator.normal(size=(n, classes))
    labels = (softmax(logits, 1).cumsum(1) < generator.random((n, 1))).sum(1)
    return logits, np.minimum(labels, classes - 1)


@pytest.mark.parametrize("sure", [1.0, 2.0, 6.0])  # right in 40 to 90 of 100 cases
@pytest.mark.parametrize("given_scale", [0.5, 1.0, 3.0])
def test_hard_classes_are_no_wrong_labels(sure: float, given_scale: float) -> None:
    """However sure the classifier is of itself."""
    found = 0
    for seed in range(6):
        logits, labels = hard(1000, 5, sure, seed)
        found += estimate_noise(given_scale * logits, labels).find_likely().sum()
    assert found <= 6


@pytest.mark.parametrize("sure", [2.0, 6.0])
def test_as_many_labels_are_wrong_as_is_said(sure: float) -> None:
    """For each list, what it promises; and over several, the rate."""
    rates, true, promised = [], 0.0, 0.0
    for seed in range(6):
        logits, labels = hard(2000, 5, sure, seed)
        changed, wrong = planted(labels, 0.05, seed)
        noise = estimate_noise(1.7 * logits, changed)
        likely = noise.find_likely()
        rates.append(noise.rate)
        true, promised = true + wrong[likely].sum(), promised + noise.wrong[likely].sum()
    assert np.mean(rates) == pytest.approx(0.05, abs=0.01)
    assert true == pytest.approx(promised, rel=0.15) and true > 20


def test_what_a_person_has_decided_is_not_asked_again(empty: Path) -> None:
    features, truth = digits(300)
    labels, _ = planted(truth, 0.05, 1)
    store({"top": features}, labels)
    before, errors, _ = found()
    first = errors["path"].iloc[0]
    manifest = read_table(Path("data/manifest.csv"))
    manifest.loc[manifest["path"] == first, "by_hand"] = "yes"
    write_table(Path("data/manifest.csv"), manifest)
    after, errors, _ = found()
    assert after["label_errors"] == before["label_errors"] - 1
    assert first not in set(errors["path"][errors["likely"] == "yes"])
