"""Where is it wrong: the photos, the surest mistakes first."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from graft.common.arrays import RowSource
from graft.report.reading import ReportedModel, Tested
from graft.report.thumbnails import Album, encode_shade

MOST_PHOTOS = 1500  # more would make the page slow, and nobody looks at them
_SUREST = 400  # of each model's mistakes, before every confused pair has its photos
_OF_A_CELL = 6  # photos of one pair of classes, from then on
_RIGHT = 300  # photos that are right but doubtful
_SECOND = 0.005  # a probability below which a second guess is not worth a word


def summarise_mistakes(
    tested: Tested, album: Album, looks: Mapping[str, Mapping[int, np.ndarray]] | None = None
) -> dict[str, Any]:
    """What the section shows.

    Args:
        tested: the models on the test part.
        album: the pictures of the test images.
        looks: where a model looked: by its key and the row of an image, uint8 (height, width).

    Returns:
        wrong: how many test images each model gets wrong, by key; photos: those with a picture, in
        the order of `rank_photos`, each with its path, its picture, its true class and `answers`
        by model: the predicted class, its confidence, the class that comes second and its
        probability, whether it is wrong, and its shade; mistaken says whether any answer is.
    """
    order = [*islice(rank_photos(tested), MOST_PHOTOS)]
    pictures = album.keep((str(tested.paths[i]) for i in order), MOST_PHOTOS)
    rows = [i for i in order if tested.paths[i] in pictures]
    answers = {model.key: _read_answers(tested, model, rows) for model in tested.models}
    for key, own in answers.items():
        for i, answer in zip(rows, own, strict=True):
            strengths = (looks or {}).get(key, {}).get(i) if answer["wrong"] else None
            answer["shade"] = None if strengths is None else encode_shade(strengths)
    photos = [
        {
            "path": str(tested.paths[i]),
            "picture": pictures[tested.paths[i]],
            "label": int(tested.labels[i]),
            "answers": {key: own[place] for key, own in answers.items()},
            "mistaken": any(own[place]["wrong"] for own in answers.values()),
        }
        for place, i in enumerate(rows)
    ]
    return {
        "wrong": {m.key: int((m.predicted != tested.labels).sum()) for m in tested.models},
        "n": len(tested.labels),
        "shaded": {key: any(answer["shade"] for answer in own) for key, own in answers.items()},
        "photos": photos,
        "shown": {
            m.key: sum(photo["answers"][m.key]["wrong"] for photo in photos) for m in tested.models
        },
    }


def rank_photos(tested: Tested) -> Iterator[int]:
    """The test images that are worth a look, each once, the most telling first.

    These are the surest mistakes of each model, the chosen one first; then of every pair of
    classes the surest mistakes, turn by turn, so that no pair is without a photo; then images that
    are right with the least confidence; then all other mistakes.
    """
    return iter(dict.fromkeys(_all_in_order(tested)))


def _all_in_order(tested: Tested) -> Iterator[int]:
    mistakes = [_surest_mistakes(tested, model) for model in tested.models]
    for own in mistakes:
        yield from own[:_SUREST]
    for model, own in zip(tested.models, mistakes, strict=True):
        yield from _by_turns(tested, model, own)
    chosen = tested.chosen
    right = np.flatnonzero(chosen.predicted == tested.labels)
    yield from right[np.lexsort((tested.paths[right], chosen.confidence[right]))][:_RIGHT].tolist()
    for own in mistakes:
        yield from own


def _surest_mistakes(tested: Tested, model: ReportedModel) -> list[int]:
    wrong = np.flatnonzero(model.predicted != tested.labels)
    return wrong[np.lexsort((tested.paths[wrong], -model.confidence[wrong]))].tolist()


def _by_turns(tested: Tested, model: ReportedModel, mistakes: Sequence[int]) -> list[int]:
    """The first mistake of each pair of classes, then the second of each, and so on."""
    own = np.array(mistakes, int)
    cells = pd.DataFrame({"label": tested.labels[own], "predicted": model.predicted[own]})
    turns = cells.groupby(["label", "predicted"]).cumcount().to_numpy()
    order = np.argsort(turns, kind="stable")
    return own[order[turns[order] < _OF_A_CELL]].tolist()


def _read_answers(
    tested: Tested, model: ReportedModel, rows: Sequence[int]
) -> list[dict[str, Any]]:
    seconds = _read_seconds(model.probabilities, model.predicted, rows)
    return [
        {
            "predicted": int(model.predicted[i]),
            "confidence": float(model.confidence[i]),
            "second": second,
            "wrong": bool(model.predicted[i] != tested.labels[i]),
        }
        for i, second in zip(rows, seconds, strict=True)
    ]


def _read_seconds(
    probabilities: RowSource | None, predicted: np.ndarray, rows: Sequence[int]
) -> list[tuple[int, float] | None]:
    """Class and probability of what comes second, None where that is next to nothing."""
    if probabilities is None or not len(rows):
        return [None] * len(rows)
    values = np.asarray(probabilities[np.array(rows)], float)
    values[np.arange(len(rows)), predicted[rows]] = -1
    seconds = values.argmax(1)
    return [
        (int(second), round(float(own[second]), 6)) if own[second] >= _SECOND else None
        for second, own in zip(seconds, values, strict=True)
    ]
