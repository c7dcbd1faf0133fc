"""How good is it: the chosen model beside guessing and beside the head, and what that means."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.common.cautions import Caution
from graft.report.reading import ReportedModel, Tested
from graft.report.wording import say_sentence

SURE = 0.95  # a confidence of which people say that it is sure


def summarise_headline(
    tested: Tested,
    learned: np.ndarray,
    crossed: Mapping[str, Any],
    cautions: Sequence[Caution],
    leaks: bool,
) -> dict[str, Any]:
    """What the first section shows.

    Args:
        tested: the models on the test part.
        learned: int (classes,), training images of each class.
        crossed: from `summarise_doubts`.
        cautions: the warnings of the run.
        leaks: whether the parts share images.

    Returns:
        model: the chosen one; figure: the accuracy that leads, with two lines on it; rows: from
        `compare_with_guessing`; largest: the class that has most training images, and guess: the
        share of test images that always guessing it gets right; guessing: whether the model may be
        no better than that; meaning: sentences from `say_meaning` and `say_gain`; and the warnings.
    """
    largest = int(learned.argmax())
    guess = float((tested.labels == largest).mean())
    chosen = tested.chosen
    return {
        "model": chosen,
        "figure": _choose_figure(chosen, crossed),
        "rows": compare_with_guessing(tested, guess, crossed),
        "largest": tested.classes[largest],
        "guess": guess,
        "guessing": chosen.metrics["accuracy_low"] <= guess,
        "meaning": [*say_meaning(tested.labels, chosen), *say_gain(tested)],
        "cautions": cautions,
        "crossed": crossed,
        "leaks": leaks,
    }


def compare_with_guessing(
    tested: Tested, guess: float, crossed: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A row for each way to answer, what leads first and guessing last.

    Args:
        tested: the models on the test part.
        guess: the share of test images that always guessing the largest class gets right.
        crossed: from `summarise_doubts`.

    Returns:
        Of each its key, `guess` and `crossed` among them, its name, its accuracy, and the ends of
        its interval, None for guessing.
    """
    rows = [
        {"key": m.key, "name": m.name, **_ends(m.metrics), "chosen": m is tested.chosen}
        for m in tested.models
    ]
    if crossed["leads"]:
        row = {"key": "crossed", "name": "Linear classifier, cross-validated", "chosen": False}
        rows.insert(0, row | _ends(crossed))
    guessing = {"key": "guess", "name": "Always guessing", "accuracy": guess, "chosen": False}
    return [*rows, guessing | {"accuracy_low": None, "accuracy_high": None}]


def say_meaning(labels: np.ndarray, model: ReportedModel) -> list[str]:
    """What the accuracy means for new photos, in one or two sentences.

    Args:
        labels: int (n,), the true classes of the test images.
        model: on the same images.
    """
    wrong, sure = model.predicted != labels, model.confidence >= SURE
    missed = wrong[sure].mean() if sure.any() else 0
    ends = {"best": 1 - model.metrics["accuracy_high"], "worst": 1 - model.metrics["accuracy_low"]}
    return [
        say_sentence("errors", wrong=wrong.mean(), **ends),
        say_sentence("sureness", limit=SURE, sure=sure.mean(), missed=missed),
    ]


def say_gain(tested: Tested) -> list[str]:
    """How the chosen model differs from the other one, photo by photo; nothing if it is alone."""
    if len(tested.models) == 1:
        return [say_sentence("gain", won=None, lost=None)]
    now, before = (model.predicted == tested.labels for model in tested.models)
    return [say_sentence("gain", won=int((now & ~before).sum()), lost=int((before & ~now).sum()))]


def _ends(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: metrics[name] for name in ("accuracy", "accuracy_low", "accuracy_high")}


def _choose_figure(chosen: ReportedModel, crossed: Mapping[str, Any]) -> dict[str, Any]:
    """The accuracy on the test part, or where that is small the one that rests on all images."""
    if crossed["leads"]:
        found, what = crossed, "photo"
        note = "Cross-validated: a linear classifier, on photos that it has not learned from."
    else:
        found, what = chosen.metrics, "test photo"
        note = f"{chosen.name}, chosen on the validation part."
    line = say_sentence("figure", found=found, what=what)
    return {"accuracy": found["accuracy"], "line": line, "note": note}
