"""What the page says of the training, from small values that are made here."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cases import read_cases
from graft.audit.choice import DEPTH_COLUMNS
from graft.report.sections.doubts import summarise_doubts
from graft.report.sections.headline import summarise_headline
from graft.report.sections.learning import chart_history
from graft.report.sections.transfer import describe_depths, summarise_transfer, tile_samples
from graft.report.thumbnails import Album
from graft.report.wording import say_sentence
from graft.statistics.intervals import repeatability
from pages import CROSSED, Page, audited, doubts, noise, outcome, rendered, reported

CASES = read_cases(__file__)

NAMES = {"head": "Head", "finetuned": "Fine-tuned model"}
STEPS = ["step", "val_loss", "val_accuracy", "gain", "standard_error", "role"]
PARAMETERS = CASES["parameters"]
TRAINED = CASES["trained"]
TUNED = CASES["tuned"]
HOSTILE = "<script>alert(1)</script> {{ 7 * 7 }}"


def table(columns: list[str], rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame([tuple(map(str, row)) for row in rows], columns=columns, dtype=str)


def repeats(*accuracies: float) -> pd.DataFrame:
    return table(["seed", "accuracy"], list(enumerate(accuracies, 1)))


def page(
    head: dict[str, Any] = TRAINED,
    finetuned: dict[str, Any] = TUNED,
    scores: list[tuple] = (),
    unfreeze: int = 3,
    reason: str = "",
    seeds: dict[str, pd.DataFrame] | None = None,
    samples: tuple[int, int, int] = (0, 1, 32),
    crossed: dict[str, Any] = CROSSED,
    errors: Sequence[Sequence[object]] = (),
    **parameters: Any,
) -> Page:
    """The page of two models whose pictures are left out."""
    values = PARAMETERS | {key.replace("__", "."): value for key, value in parameters.items()}
    m, each, side = samples
    learnt = summarise_transfer(
        scores=table(DEPTH_COLUMNS, scores),
        layer={"layer": "mixed9", "pooling": "avg", "width": 2048, "start": 0, "layers": 40},
        unfreeze={"unfreeze": unfreeze, "reason": reason},
        samples=np.zeros((m, each, side, side, 3), np.uint8),
        steps=table(STEPS, [(0, 0.5, 0.8, 0, 0, ""), (0.5, 0.25, 0.9, 0.25, 0.125, "taken")]),
        repeats=seeds or {name: repeats(0.9) for name in NAMES.values()},
    )
    models = [
        reported(key, (0, 1), (0, 1), training=training)
        for key, training in (("finetuned", finetuned), ("head", head))
    ]
    found = outcome(*models)
    if finetuned["chosen"] == "head":
        found = found._replace(models=(models[1],))
    curves = {model.key: chart_history(model, 0.8) for model in models}
    sections = {
        "headline": summarise_headline(found, np.array([2, 1])) | {"cautions": ()},
        "labels": summarise_doubts(crossed, doubts(*errors), Album([], {}, 0)),
        "training": learnt | {"curves": curves},
        "images": audited([]),
    }
    return rendered(sections, found, **values)


def test_it_says_which_model_was_chosen() -> None:
    text = page().text
    assert "Chosen on the validation part: the fine-tuned model ." in text
    assert "Fine-tuned model, chosen on the validation part." in text
    text = page(finetuned=TUNED | {"chosen": "head", "best_epoch": 0}).text
    assert "Chosen on the validation part: the head ." in text
    assert "so the fine-tuned model is that head" in text
    assert "2 epochs, none better than the start by more than chance, which is kept" in text
    assert "0.5 taken 0.250 0.250 ± 0.125 90.0 %" in text
    assert "Head, chosen on the validation part." in text
    assert "so the head was kept" in text


def test_only_what_a_model_has_is_in_the_table() -> None:
    text = page().text
    assert "Of them in unfrozen layers with those of batch normalisation – 99" in text
    assert "Validation loss at the start – 0.500" in text
    assert "Regularisation" not in text
    linear = TRAINED | {"regularisation": 0.01, "cv_accuracy": 0.925, "epochs": 1, "best_epoch": 1}
    text = page(head=linear).text
    assert "Regularisation C of the linear model; smaller is stronger 0.010 –" in text
    assert "cross-validated on the training part 92.5 % –" in text
    assert "Fitted at once, without epochs: validation loss 0.250, 90.0 %" in text


@pytest.mark.parametrize("unfreeze, expected", CASES["depths"])
def test_the_depth_is_one_sentence_where_nothing_was_measured(unfreeze: int, expected: str) -> None:
    text = page(unfreeze=unfreeze).text
    assert f"mixed9 : 2,048 values, average pooling. {expected}" in text
    assert "How well a linear model" not in text


def test_measured_depths_are_a_table_with_the_reason() -> None:
    early = ("early", 4, 32, 0.9, 0.3, 0.05, 0.5, "")
    feature = (HOSTILE, 40, 2048, 0.6, 0, 0, 0.9, "feature")
    found = page(scores=[early, feature], reason=HOSTILE)
    assert "early 0.900 +0.300 ± 0.050 50.0 % 4 32" in found.text
    assert "feature 0.600 lowest 90.0 % 40 2,048" in found.text
    assert found.texts.count(HOSTILE) == 2
    assert len(found.scripts) == 2
    assert "0.600 0.950" in found.text  # the ends of the axis


def test_a_small_test_part_does_not_lead() -> None:
    text = page().text
    assert "Cross-validated" not in text and "The test part is small" not in text
    assert text.index("Fine-tuned model 91.2 %") < text.index("Always guessing a 50.0 %")
    small = CROSSED | {"headline": "cross_validation", "test_units": 9, "test_bound": 0.7009}
    text = page(crossed=small).text
    assert "The test part is small: 9 units, images that belong together counted once." in text
    assert "would only show an accuracy above 70 %" in text
    assert "How good is it? 87.5 % right, of 4,321 photos (4,320 if those that belong" in text
    row = "Linear classifier, cross-validated 87.5 % 85.2 % to 89.5 %"
    assert text.index(row) < text.index("Fine-tuned model 91.2 %")
    assert "accuracy rests on 4,321 images of 4,320 units: a linear classifier judged each" in text
    none = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "log_loss"))
    text = page(crossed=small | none | {"n": 0, "units": 0}).text
    assert "The test part is small" in text and "cross-validated 87.5" not in text
    assert "No image could be judged by others" in text


def test_labels_that_look_wrong_are_listed() -> None:
    text = page().text
    judged = (
        "judged 4,321 images , each without having learned from it: it agrees with the labels of"
    )
    assert judged in text.replace("images,", "images ,")
    assert "No label stands out as wrong." in text
    found = page(crossed=CROSSED | {"by_hand": 1}).text
    assert "1 label was decided by hand, in data/corrections.csv , and is not doubted." in found
    rows = [(HOSTILE, "test", "a", f"b{n}", 0.875, 0.01, 0.8, "yes") for n in range(25)]
    found = page(crossed=CROSSED | {"label_errors": 3, "label_errors_true": 2.4}, errors=rows)
    assert "3 labels may be wrong: about 2 of these are, by an estimate." in found.text
    assert "The 20 most doubtful labels; 5 more are in reports/label_errors.csv ." in found.text
    assert f"{HOSTILE} test a b19 87.5 %" in found.text
    assert "b20" not in found.texts
    assert len(found.scripts) == 2


def test_repeats_are_reported_where_there_are_any() -> None:
    text = page().text
    assert "Each model was trained once." in text
    two = {"Head": repeats(0.9, 0.92, 0.94), "Fine-tuned model": repeats(0.95, 0.95)}
    text = page(seeds=two).text
    limit = 100 * repeatability([0.9, 0.92, 0.94])
    assert f"two trainings of the head are less than {limit:.1f} points apart" in text
    assert "Every seed gave the fine-tuned model the same accuracy." in text
    assert "1: 90.0 % , 2: 92.0 % , 3: 94.0 % 2.00 points 3" in text
    one = {"Head": repeats(0.9, 0.92), "Fine-tuned model": repeats(0.95)}
    assert "Seeds Head 91.0 % 90.0 % to 92.0 %" in page(seeds=one).text


def test_changes_are_named() -> None:
    text = page(samples=(2, 3, 32)).text
    changes = "horizontal and vertical flip, rotation up to 20° to either side"
    assert f"Switched on: {changes}, shift up to 10 % of the side, contrast up to 12.5 %." in text
    assert "the head is trained on unchanged ones" in text
    assert "has 2 changed copies, made once" in page(samples=(2, 3, 32), augment__copies=2).text
    assert "Training images are not changed" in page().text


@pytest.mark.parametrize(("side", "shown"), [(8, 96), (32, 96), (64, 128), (100, 100), (160, 128)])
def test_samples_are_a_grid_of_a_size_to_compare(side: int, shown: int) -> None:
    pixels = noise(2, 3, side)
    samples = tile_samples(pixels)
    grid = np.asarray(Image.open(io.BytesIO(base64.b64decode(samples["picture"].split(",")[1]))))
    gap = 6
    assert grid.shape == (2 * shown + gap, 3 * shown + 4 * gap, 3)
    assert (samples["height"], samples["width"]) == grid.shape[:2]
    for row in range(2):
        for column, left in enumerate((0, shown + 3 * gap, 2 * shown + 4 * gap)):
            top = row * (shown + gap)
            cell = grid[top : top + shown, left : left + shown]
            if side <= shown:  # each pixel is a square, none is blurred
                times = shown // side
                assert (cell == pixels[row, column].repeat(times, 0).repeat(times, 1)).all()
    assert (grid[shown : shown + gap] == 255).all()
    assert tile_samples(pixels[:0]) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.1)), max_size=6))
def test_depths_lie_on_one_axis(values: list[tuple[float, float]]) -> None:
    rows = [(f"layer{n}", n, 8, loss, 0, e, 0.5, "") for n, (loss, e) in enumerate(values)]
    depths = describe_depths(table(DEPTH_COLUMNS, rows))["rows"]
    assert [depth["log_loss"] for depth in depths] == [loss for loss, _ in values]
    for depth in depths:
        assert -1e-6 <= depth["start"] <= depth["place"] + 1e-6
        assert depth["place"] <= depth["start"] + depth["length"] + 1e-6 <= 100 + 2e-6
    order = sorted(depths, key=lambda depth: depth["log_loss"])
    assert [depth["place"] for depth in order] == sorted(depth["place"] for depth in depths)


@pytest.mark.parametrize("monitor, best, device, expected", CASES["kept"])
def test_the_kept_epoch_is_named(monitor: str, best: int, device: str, expected: str) -> None:
    trained = TRAINED | {"best_epoch": best, "device": device}
    model = reported("head", (0, 1), (0, 1), training=trained)
    text = say_sentence("training", model=model, parameters={"head.monitor": f"val_{monitor}"})
    assert text.startswith(expected)
    assert " ".join(text.split()).endswith("loss 0.250, 90.0 % of the validation images right.")
