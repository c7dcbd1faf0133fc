"""How good is it: the chosen model beside guessing and beside the head, and what that means."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from graft.report.reading import ReportedModel, Tested
from graft.report.wording import say_sentence
from graft.statistics.accuracy import wilson_interval

_SURE = 0.95  # a confidence of which people say that it is sure
_FEW = 10  # test photos of a class, below which nothing is said of it
_MISSED = 3  # photos of it at least; of many classes, one misses a photo by chance
_RARE = 0.5  # of the mean of the classes


def summarise_headline(
    tested: Tested,
    learned: np.ndarray,
    balanced: bool = False,
    leading: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the first section shows beside the metrics of the models.

    Args:
        tested: the models on the test part.
        learned: int (classes,), training images of each class.
        balanced: whether each class has the same weight in the trainings.
        leading: the cross-validated accuracy with its ends, where that is the headline.

    Returns:
        largest: the class that has most training images, and guess: the share of test images that
        always guessing it gets right; guessing: whether the chosen model may be no better than
        that; and meaning: sentences from `say_meaning`, `say_weakest` and `say_gain`.
    """
    meaning = say_meaning(tested.labels, tested.chosen)
    if leading is not None:
        meaning[0] = _say_errors(leading, crossed=True)
    meaning += [*say_weakest(tested, learned, balanced), say_gain(tested)]
    largest = int(learned.argmax())
    guess = float((tested.labels == largest).mean())
    return {
        "largest": tested.classes[largest],
        "guess": guess,
        "guessing": tested.chosen.metrics["accuracy_low"] <= guess,
        "meaning": meaning,
    }


def say_meaning(labels: np.ndarray, model: ReportedModel) -> list[str]:
    """What the accuracy means for new photos, in one or two sentences.

    Args:
        labels: int (n,), the true classes of the test images.
        model: on the same images.
    """
    wrong, sure = model.predicted != labels, model.confidence >= _SURE
    missed = wrong[sure].mean() if sure.any() else 0
    return [
        _say_errors(model.metrics | {"accuracy": 1 - wrong.mean()}),
        say_sentence("sureness", limit=_SURE, sure=sure.mean(), missed=missed),
    ]


def _say_errors(found: Mapping[str, Any], crossed: bool = False) -> str:
    wrong, best, worst = (1 - found[f"accuracy{end}"] for end in ("", "_high", "_low"))
    return say_sentence("errors", wrong=wrong, best=best, worst=worst, crossed=crossed)


def say_weakest(tested: Tested, learned: np.ndarray, balanced: bool) -> list[str]:
    """Which class is found least, and what may help; nothing where that may be chance.

    Args:
        tested: the models on the test part.
        learned: int (classes,), training images of each class.
        balanced: whether each class has the same weight in the trainings.
    """
    right = tested.chosen.predicted == tested.labels
    total = np.bincount(tested.labels, minlength=len(tested.classes))
    found = np.bincount(tested.labels[right], minlength=len(tested.classes))
    recall = np.where(total >= _FEW, found / np.maximum(total, 1), np.inf)
    least = int(recall.argmin())
    few = total[least] < _FEW or total[least] - found[least] < _MISSED
    if few or wilson_interval(int(found[least]), int(total[least]))[1] >= right.mean():
        return []
    others = tested.chosen.predicted[(tested.labels == least) & ~right]
    facts = {
        "name": tested.classes[least],
        "found": found[least] / total[least],
        "taken": tested.classes[int(np.bincount(others).argmax())],
        "rare": bool(learned[least] < _RARE * learned.mean()),
        "balanced": balanced,
    }
    return [say_sentence("weakest", **facts)]


def say_gain(tested: Tested) -> str:
    """How the chosen model differs from the other one, photo by photo, or why it is alone."""
    tuned = next((model for model in tested.all_models if model.key != "head"), None)
    trained = tuned is None or tuned.training["epochs"] > 0
    if len(tested.models) == 1:
        return say_sentence("gain", won=None, lost=None, trained=trained)
    now, before = (model.predicted == tested.labels for model in tested.models)
    return say_sentence(
        "gain", won=int((now & ~before).sum()), lost=int((before & ~now).sum()), trained=trained
    )
