"""The choice of the feature's layer, and of how many layers are fine-tuned."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digits import digits, parts, store
from graft.common.errors import UserError
from graft.common.tables import read_json, read_table, write_json
from graft.head import depth
from graft.head.choice import DEPTH_COLUMNS, choose_depths
from graft.head.unfreeze import count_unfrozen
from graft.judging.losses import standard_error
from images import change, run

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
def results(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Which of some images some depths get right, and the units of the images, two or more."""
    count, n = draw(st.integers(1, 6)), draw(st.integers(2, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = [draw(st.sampled_from([0.0, 0.5, 0.7, 0.9, 1.0])) for _ in range(count)]
    # Images are easy or hard for all depths, more or less.
    hard = generator.uniform(size=n)
    right = [np.where(generator.uniform(size=n) < 0.7, hard, 0.5) < share for share in shares]
    units = generator.integers(0, draw(st.integers(1, 60)), n)
    units[:2] = [0, 1]
    return np.array(right), units


@given(results(), st.randoms(use_true_random=False))
def test_the_choice_keeps_its_promises(case: tuple[np.ndarray, np.ndarray], random) -> None:
    right, units = case
    feature, frozen = choose_depths(right, units)
    assert -1 <= frozen < feature < len(right)

    def lead(one: int, other: int) -> tuple[float, float]:
        difference = right[one].astype(float) - right[other]
        return difference.mean(), standard_error(difference, units)

    best = int(right.mean(1).argmax())
    gap, error = lead(best, feature)
    assert gap <= error
    for deeper in range(feature + 1, len(right)):
        gap, error = lead(best, deeper)
        assert gap > error
    # What is frozen ends below the last depth that is clearly worse than the feature.
    worse = [n for n in range(feature) if np.greater(*(lead(feature, n) * np.array([1, 2])))]
    assert frozen == (max(worse) - 1 if worse else feature - 1)
    order = random.sample(range(len(units)), len(units))
    assert choose_depths(right[:, order], 7 * units[order] + 3) == (feature, frozen)


@given(results(), st.integers(2, 5))
def test_pictures_of_one_unit_count_once(case: tuple[np.ndarray, np.ndarray], times: int) -> None:
    """Where units are images the error is the usual one; saying all twice changes none."""
    right, units = case
    values = right[0].astype(float)
    apart = np.arange(len(values))
    expected = values.std(ddof=1) / np.sqrt(len(values))
    assert standard_error(values, apart) == pytest.approx(expected)
    again = standard_error(np.repeat(values, times), np.repeat(apart, times))
    assert again == pytest.approx(expected)
    assert standard_error(right[0], units) == pytest.approx(standard_error(values, units))


@pytest.mark.parametrize(
    ("noise", "feature", "frozen"),
    [
        # Noise in the depths from the input up: the feature, and what is frozen up to.
        ([0.9, 0.0, 0.8, 0.85], 1, None),
        ([0.9, 0.8, 0.7, 0.0], 3, 1),
        ([0.8, 0.0, 0.0, 0.0], 3, None),
        ([0.0, 0.8, 0.8, 0.9], 0, None),
    ],
)
def test_the_best_depth_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    noise: list[float],
    feature: int,
    frozen: int | None,
) -> None:
    features, labels = digits(500)
    layers = [f"layer_{place}" for place in range(4)]
    made = [blurred(features, share, place) for place, share in enumerate(noise)]
    depths = dict(zip(layers, made, strict=True))
    # The network's last layer comes first, as the stage `backbone` writes it.
    depths = {layers[-1]: depths.pop(layers[-1]), **depths}
    store(tmp_path, depths, labels, {"finetune.unfreeze": "auto"})
    monkeypatch.chdir(tmp_path)
    layer, unfreeze, scores, first = answers()
    rows = read_json(Path("data/backbone/depths.json"))["depths"]
    assert layer == next(row for row in rows if row["layer"] == layers[feature])
    assert list(scores) == ["layer", "layers", "width", "accuracy", "standard_error", "role"]
    assert scores["layer"].tolist() == layers and scores["layers"].tolist() == [5, 10, 15, 20]
    roles = {feature: "feature"} | ({} if frozen is None else {frozen: "frozen up to here"})
    assert scores["role"].tolist() == [roles.get(place, "") for place in range(4)]
    below = 0 if frozen is None else scores["layers"][frozen]
    assert unfreeze["unfreeze"] == layer["layers"] - below
    clear = [place for place, share in enumerate(noise) if share == 0]
    assert scores["accuracy"].idxmax() in clear and scores["accuracy"].max() > 0.9
    usual = np.sqrt(scores["accuracy"] * (1 - scores["accuracy"]) / 300)
    assert np.allclose(scores["standard_error"], usual, rtol=0.01)
    for text in (layers[feature], f"{100 * scores['accuracy'][3]:.1f} %", "on 300 training images"):
        assert text in unfreeze["reason"], unfreeze["reason"]
    assert 2 <= unfreeze["reason"].count(". ") + 1 <= 4
    assert answers()[-1] == first


def test_a_layer_that_knows_hands_and_no_signs_is_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten pictures of each hand, which shows one sign: one of them gives away the others."""
    features, labels = digits(300)
    order = np.argsort(labels, kind="stable")
    features, labels = features[order], labels[order]
    units = np.arange(300) // 10
    hands = np.random.default_rng(1).normal(size=(30, 100))[units].astype(np.float32)
    chosen = {}
    for name, own in {"apart": None, "together": units}.items():
        folder = tmp_path / name
        folder.mkdir()
        depths = {"hands": hands, "signs": blurred(features, 0.5)}
        store(folder, depths, labels, {"finetune.unfreeze": "auto"}, own)
        monkeypatch.chdir(folder)
        layer, _, scores, _ = answers()
        chosen[name] = layer["layer"], scores["accuracy"][1]
    assert chosen["apart"][0] == "hands" and chosen["apart"][1] > 0.9
    assert chosen["together"][0] == "signs" and chosen["together"][1] < 0.4


def test_measuring_takes_no_tensorflow_and_no_more_images_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = digits(1500)
    depths = {"top": features, "middle": blurred(features, 0.7)}
    store(tmp_path, depths, labels, {"finetune.unfreeze": "auto"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(depth, "_IMAGES", 200)
    expected = answers()[-1]
    assert b"on 200 training images" in expected["unfreeze.json"]
    code = """if True:
        import sys
        from graft.head import depth
        from graft.project.launcher import run_stage
        depth._IMAGES = 200
        run_stage(["depth"])
        assert not {"tensorflow", "keras"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {name: Path("data/depth", name).read_bytes() for name in ANSWERS} == expected


@pytest.mark.parametrize("units", [np.zeros(60, int), parts(60) == "train"])
def test_a_part_that_cannot_be_divided_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: np.ndarray
) -> None:
    features, labels = digits(60)
    store(tmp_path, {"top": features}, labels, {"finetune.unfreeze": "auto"}, units.astype(int))
    monkeypatch.chdir(tmp_path)
    before = Path("data/depth/layer.json").read_bytes()
    with pytest.raises(UserError, match=r"unfreeze must be something else than auto: .*: 'auto'$"):
        run("depth")
    assert Path("data/depth/layer.json").read_bytes() == before
    assert [path.name for path in Path("data/depth").iterdir()] == ["layer.json"]


CNN = ["input", "stem", "stem_norm", "block1_a", "block1_b", "block2_a", "block2_b", "block10_a"]


@pytest.mark.parametrize(
    ("unfreeze", "count"),
    [
        *[("none", 0), ("all", 8), (0, 0), (1, 1), (8, 8)],
        *[(0.01, 1), (0.25, 2), (0.5, 4), (1.0, 8)],
        *[("stem", 7), ("stem_norm", 6), ("block1", 5), ("block2_b", 2), ("block10", 1)],
    ],
)
def test_what_is_trained_is_a_number_of_layers(unfreeze: int | float | str, count: int) -> None:
    found = count_unfrozen(unfreeze, CNN)
    assert found == count and type(found) is int


@pytest.mark.parametrize(
    ("unfreeze", "allowed"),
    [
        (9, "none, all, auto, or at most 8 layers, which lead to block10_a"),
        ("block3", "none, all, auto, a number, or a layer that leads to block10_a (stem, stem_"),
    ],
)
def test_layers_that_do_not_lead_to_the_feature_are_refused(
    unfreeze: int | str, allowed: str
) -> None:
    """The whole network may have them, in another branch."""
    with pytest.raises(UserError) as refused:
        count_unfrozen(unfreeze, CNN)
    assert str(refused.value).startswith(f"params.yaml: finetune.unfreeze must be {allowed}")
    assert str(refused.value).endswith(f"Received: {unfreeze!r}")


def test_without_auto_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers are those of the network's own file."""
    features, labels = digits(60)
    store(tmp_path, {"top": features, "middle": features}, labels)
    monkeypatch.chdir(tmp_path)
    path = Path("data/backbone/depths.json")
    layers = ["input_layer", "stem", "stem_norm", "halve_32"]
    layers += ["residual_64_1", "residual_64_2", "residual_64_out"]
    rows = [row | {"layers": 7} for row in read_json(path)["depths"]]
    write_json(path, {"layers": layers, "depths": rows})
    for setting, count in {"all": 7, 0.5: 4, 3: 3, "residual_64": 3, "none": 0}.items():
        change(tmp_path, {"finetune.unfreeze": setting})
        layer, unfreeze, scores, _ = answers()
        assert layer == rows[0] and len(scores) == 0
        assert list(read_table(Path("data/depth/scores.csv"))) == DEPTH_COLUMNS
        assert unfreeze == {
            "unfreeze": count,
            "reason": f"Nothing was measured: params.yaml says finetune.unfreeze: {setting}.",
        }
