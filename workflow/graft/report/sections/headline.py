"""How good is it: the chosen model beside guessing and beside the head, and what that means."""

from typing import Any

import numpy as np

from graft.report.reading import ReportedModel, Tested
from graft.report.wording import say_sentence

_SURE = 0.95  # a confidence of which people say that it is sure


def summarise_headline(tested: Tested, learned: np.ndarray) -> dict[str, Any]:
    """What the first section shows beside the metrics of the models.

    Args:
        tested: the models on the test part.
        learned: int (classes,), training images of each class.

    Returns:
        largest: the class that has most training images, and guess: the share of test images that
        always guessing it gets right; guessing: whether the chosen model may be no better than
        that; and meaning: sentences from `say_meaning` and `say_gain`.
    """
    largest = int(learned.argmax())
    guess = float((tested.labels == largest).mean())
    return {
        "largest": tested.classes[largest],
        "guess": guess,
        "guessing": tested.chosen.metrics["accuracy_low"] <= guess,
        "meaning": [*say_meaning(tested.labels, tested.chosen), say_gain(tested)],
    }


def say_meaning(labels: np.ndarray, model: ReportedModel) -> list[str]:
    """What the accuracy means for new photos, in one or two sentences.

    Args:
        labels: int (n,), the true classes of the test images.
        model: on the same images.
    """
    wrong, sure = model.predicted != labels, model.confidence >= _SURE
    missed = wrong[sure].mean() if sure.any() else 0
    ends = {"best": 1 - model.metrics["accuracy_high"], "worst": 1 - model.metrics["accuracy_low"]}
    return [
        say_sentence("errors", wrong=wrong.mean(), **ends),
        say_sentence("sureness", limit=_SURE, sure=sure.mean(), missed=missed),
    ]


def say_gain(tested: Tested) -> str:
    """How the chosen model differs from the other one, photo by photo, or why it is alone."""
    if len(tested.models) == 1:
        return say_sentence("gain", won=None, lost=None)
    now, before = (model.predicted == tested.labels for model in tested.models)
    return say_sentence("gain", won=int((now & ~before).sum()), lost=int((before & ~now).sum()))
