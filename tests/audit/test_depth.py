"""The choice of the feature's layer, and of how many layers are fine-tuned."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import read_cases
from digits import digits, parts, store
from graft.audit import depth
from graft.audit.choice import DEPTH_COLUMNS, DepthScores, choose_depths, explain_choice
from graft.audit.unfreezing import count_unfrozen
from graft.common.errors import UserError
from graft.common.tables import read_json, read_table, write_json
from graft.judging.losses import standard_error
from images import change, python, run

CASES = read_cases(__file__)

ANSWERS = ("layer.json", "unfreeze.json", "scores.csv")


def answers() -> tuple[dict, dict, pd.DataFrame, dict[str, bytes]]:
    """Runs the stage here: the layer, what is unfrozen, the scores, and the bytes of all three."""
    run("depth")
    texts = {name: Path("data/depth", name).read_bytes() for name in ANSWERS}
    scores = pd.read_csv("data/depth/scores.csv", keep_default_na=False)
    return json.loads(texts["layer.json"]), json.loads(texts["unfreeze.json"]), scores, texts


def blurred(features: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """Features with so much of noise in them, as in a layer that says less about the classes."""
    noise = features.std() * np.random.default_rng(seed).normal(size=features.shape)
    return ((1 - share) * features + share * noise).astype(np.float32)


@st.composite
def results(draw: st.DrawFn) -> DepthScores:
    """How some depths do on some images, of two units or more."""
    count, n = draw(st.integers(1, 6)), draw(st.integers(2, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    means = [draw(st.sampled_from([0.1, 0.3, 0.5, 1.0, 3.0])) for _ in range(count)]
    # Images are easy or hard for all depths, more or less.
    hard = generator.exponential(size=n)
    own = [np.where(generator.uniform(size=n) < 0.7, hard, 1) * mean for mean in means]
    units = generator.integers(0, draw(st.integers(1, 60)), n)
    units[:2] = [0, 1]
    weights = np.where(generator.uniform(size=n) < 0.2, draw(st.sampled_from([1.0, 5.0])), 1.0)
    losses = np.array(own)
    return DepthScores(losses, losses < 0.5, units, weights)


@given(results(), st.randoms(use_true_random=False))
def test_the_choice_keeps_its_promises(case: DepthScores, random) -> None:
    feature, frozen = choose_depths(case)
    losses, _, units, weights = case
    assert -1 <= frozen < feature < len(losses)

    def lag(one: int, other: int) -> tuple[float, float]:
        difference = losses[one] - losses[other]
        return weights @ difference / weights.sum(), standard_error(difference, units, weights)

    best = int((losses @ weights).argmin())
    gap, error = lag(feature, best)
    assert gap <= error
    for deeper in range(feature + 1, len(losses)):
        gap, error = lag(deeper, best)
        assert gap > error
    # What is frozen ends below the last depth that is clearly worse than the feature.
    worse = [n for n in range(feature) if np.greater(*(lag(n, feature) * np.array([1, 2])))]
    assert frozen == (max(worse) - 1 if worse else feature - 1)
    order = random.sample(range(len(units)), len(units))
    shuffled = DepthScores(losses[:, order], case.right, 7 * units[order] + 3, 9 * weights[order])
    again = choose_depths(shuffled)
    pairs = itertools.product(range(len(losses)), range(len(losses)), (1, 2))
    gaps = [np.subtract(*(lag(n, m) * np.array([1, k]))) for n, m, k in pairs]
    assert again == (feature, frozen) or np.abs(gaps).min() < 1e-9


@given(results())
def test_the_words_follow_the_numbers(case: DepthScores) -> None:
    """Chance is excluded only where a difference is more than two standard errors."""
    count = len(case.losses)
    layers = [f"layer_{n}" for n in range(count)]
    feature, frozen = choose_depths(case)
    text = explain_choice(layers, case, feature, frozen)
    best, last = int(case.means().argmin()), count - 1
    gap, error = case.find_gap(last, best)
    assert ("does worse, by more than chance" in text) == (feature < last and gap > 2 * error)
    assert ("though this may be chance" in text) == (feature < last and gap <= 2 * error)
    for n in {best, last, feature}:
        accuracy = f"{100 * case.right[n].mean():.1f} % right"
        assert f"{layers[n]} (log loss {case.means()[n]:.3f}, {accuracy})" in text
    assert "near to" not in text and "far from" not in text
    assert ("of which each class weighs the same" in text) == (np.ptp(case.weights) > 0)


@given(results(), st.integers(2, 5))
def test_pictures_of_one_unit_count_once(case: DepthScores, times: int) -> None:
    """Where units are images the error is the usual one; saying all twice changes none."""
    values, units, weights = case.losses[0], case.units, case.weights
    apart, equal = np.arange(len(values)), np.ones(len(values))
    expected = values.std(ddof=1) / np.sqrt(len(values))
    assert standard_error(values, apart, 3 * equal) == pytest.approx(expected)
    many = [np.repeat(array, times) for array in (values, units, weights)]
    assert standard_error(*many) == pytest.approx(standard_error(values, units, weights))


def test_weights_make_errors_that_repeated_draws_have() -> None:
    """One image in twenty is of the rare class and weighs as much as all others of its kind."""
    generator, means, errors = np.random.default_rng(1), [], []
    for _ in range(400):
        rare = generator.uniform(size=500) < 0.05
        values = generator.normal(size=500) + rare
        weights = np.where(rare, 10.0, 0.5)
        means.append(np.average(values, weights=weights))
        errors.append(standard_error(values, np.arange(500), weights))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)


@pytest.mark.parametrize("noise, feature, frozen", CASES["best"])
def test_the_best_depth_is_found(
    empty: Path, noise: list[float], feature: int, frozen: int | None
) -> None:
    features, labels = digits(500)
    layers = [f"layer_{place}" for place in range(4)]
    made = [blurred(features, share, place) for place, share in enumerate(noise)]
    depths = dict(zip(layers, made, strict=True))
    # The network's last layer comes first, as the stage `backbone` writes it.
    depths = {layers[-1]: depths.pop(layers[-1]), **depths}
    store(depths, labels, {"finetune.unfreeze": "auto"})
    layer, unfreeze, scores, first = answers()
    rows = read_json(Path("data/backbone/depths.json"))["depths"]
    assert layer == next(row for row in rows if row["layer"] == layers[feature])
    assert list(scores) == DEPTH_COLUMNS
    assert scores["layer"].tolist() == layers and scores["layers"].tolist() == [5, 10, 15, 20]
    roles = {feature: "feature"} | ({} if frozen is None else {frozen: "frozen up to here"})
    assert scores["role"].tolist() == [roles.get(place, "") for place in range(4)]
    below = 0 if frozen is None else scores["layers"][frozen]
    assert unfreeze["unfreeze"] == layer["layers"] - below
    clear = [place for place, share in enumerate(noise) if share == 0]
    best = scores["log_loss"].idxmin()
    assert best in clear and scores["accuracy"][best] > 0.9
    behind = scores["log_loss"] - scores["log_loss"][best]
    assert np.allclose(scores["behind"], behind, atol=2e-6)
    assert scores["standard_error"][best] == 0
    assert (scores["standard_error"][~scores.index.isin(clear)] > 0).all()
    reason = unfreeze["reason"]
    assert layers[feature] in reason and "on 300 training images." in reason
    assert f"log loss {scores['log_loss'][3]:.3f}" in reason
    assert f"{100 * scores['accuracy'][3]:.1f} % right" in reason
    assert 3 <= reason.count(". ") + 1 <= 5
    assert answers()[-1] == first


def test_a_layer_that_knows_hands_and_no_signs_is_not_chosen(empty: Path) -> None:
    """Ten pictures of each hand, which shows one sign: one of them gives away the others."""
    features, labels = digits(300)
    order = np.argsort(labels, kind="stable")
    features, labels = features[order], labels[order]
    units = np.arange(300) // 10
    hands = np.random.default_rng(1).normal(size=(30, 100))[units].astype(np.float32)
    chosen = {}
    for name, own in {"apart": None, "together": units}.items():
        depths = {"hands": hands, "signs": blurred(features, 0.5)}
        store(depths, labels, {"finetune.unfreeze": "auto"}, own)
        layer, _, scores, _ = answers()
        chosen[name] = layer["layer"], scores["accuracy"][1]
    assert chosen["apart"][0] == "hands" and chosen["apart"][1] > 0.9
    assert chosen["together"][0] == "signs" and chosen["together"][1] < 0.4


def test_a_layer_that_never_names_the_rare_class_is_not_chosen(empty: Path) -> None:
    """One image in twenty is rare. The deeper layer knows the other classes better, but not it."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 1000)
    labels[generator.permutation(1000)[:50]] = 2
    rare, common = labels == 2, 2.0 * (labels == 1) - 1
    common[rare] = generator.choice([-1.0, 1.0], rare.sum())
    blind, seeing = generator.normal(size=(2, 1000, 3))
    blind[:, 0] += 1.9 * common
    seeing[:, 0] += 1.4 * common
    seeing[:, 1] += 2.5 * rare
    depths = {"blind": blind.astype(np.float32), "seeing": seeing.astype(np.float32)}
    for weight in ("balanced", "none"):
        store(depths, labels, {"finetune.unfreeze": "auto", "head.class_weight": weight})
        layer, unfreeze, scores, _ = answers()
        assert layer["layer"] == "seeing", unfreeze["reason"]
        assert ("each class weighs the same" in unfreeze["reason"]) == (weight == "balanced")
        if weight == "none":  # accuracy would have chosen the other
            assert scores["accuracy"][1] >= scores["accuracy"][0], scores


def test_measuring_takes_no_tensorflow_and_no_more_images_than_it_needs(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = digits(1500)
    depths = {"top": features, "middle": blurred(features, 0.7)}
    store(depths, labels, {"finetune.unfreeze": "auto"})
    monkeypatch.setattr(depth, "_IMAGES", 200)
    expected = answers()[-1]
    assert b"on 200 training images" in expected["unfreeze.json"]
    code = """
        import sys
        from graft.audit import depth
        from graft.project.launcher import run_stage
        depth._IMAGES = 200
        run_stage(["depth"])
        assert not {"tensorflow", "keras"} & set(sys.modules)
    """
    python(code)
    assert {name: Path("data/depth", name).read_bytes() for name in ANSWERS} == expected


@pytest.mark.parametrize("units", [np.zeros(60, int), parts(60) == "train"])
def test_a_part_that_cannot_be_divided_is_refused(empty: Path, units: np.ndarray) -> None:
    features, labels = digits(60)
    store({"top": features}, labels, {"finetune.unfreeze": "auto"}, units.astype(int))
    before = Path("data/depth/layer.json").read_bytes()
    with pytest.raises(UserError, match=r"unfreeze must be something else than auto: .*: 'auto'$"):
        run("depth")
    assert Path("data/depth/layer.json").read_bytes() == before
    assert [path.name for path in Path("data/depth").iterdir()] == ["layer.json"]


LAYERS = CASES["layers"]


@pytest.mark.parametrize("unfreeze, count", CASES["counts"])
def test_what_is_trained_is_a_number_of_layers(unfreeze: int | float | str, count: int) -> None:
    found = count_unfrozen(unfreeze, LAYERS)
    assert found == count and type(found) is int


@pytest.mark.parametrize("unfreeze, allowed", CASES["refused"])
def test_layers_that_lead_elsewhere_are_refused(unfreeze: int | str, allowed: str) -> None:
    """The whole network may have them, in another branch."""
    with pytest.raises(UserError) as refused:
        count_unfrozen(unfreeze, LAYERS)
    assert str(refused.value).startswith(f"params.yaml: finetune.unfreeze must be {allowed}")
    assert str(refused.value).endswith(f"Received: {unfreeze!r}")


def test_without_auto_nothing_is_measured(empty: Path) -> None:
    """The layers are those of the network's own file."""
    features, labels = digits(60)
    store({"top": features, "middle": features}, labels)
    path = Path("data/backbone/depths.json")
    layers = ["input", "stem", "norm", "halve", "residual_64_1", "residual_64_2", "residual_64_out"]
    rows = [row | {"layers": 7} for row in read_json(path)["depths"]]
    write_json(path, {"layers": layers, "depths": rows})
    for setting, count in {"all": 7, 0.5: 4, 3: 3, "residual_64": 3, "none": 0}.items():
        change(empty, {"finetune.unfreeze": setting})
        layer, unfreeze, scores, _ = answers()
        assert layer == rows[0] and len(scores) == 0
        assert list(read_table(Path("data/depth/scores.csv"))) == DEPTH_COLUMNS
        reason = f"Nothing was measured: params.yaml says finetune.unfreeze: {setting}."
        assert unfreeze == {"unfreeze": count, "reason": reason}
