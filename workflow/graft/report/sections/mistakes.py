"""Where is it wrong: the photos, the surest mistakes first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.report.reading import ReportedModel, Tested
from graft.report.thumbnails import Album, encode_shade

_MOST = 1500  # photos; more would make the page slow, and nobody looks at them
_SUREST = 400  # of each model's mistakes, before every confused pair has its photos
_OF_A_CELL = 6  # photos of one pair of classes, from then on
_RIGHT = 300  # photos that are right but doubtful
_SECOND = 0.005  # a probability below which a second guess is not worth a word


def summarise_mistakes(
    tested: Tested, album: Album, looks: Mapping[str, Mapping[int, np.ndarray]]
) -> dict[str, Any]:
    """What the section shows.

    Args:
        tested: the models on the test part.
        album: the pictures of the test images.
        looks: where a model looked: by its key and the row of an image, uint8 (height, width).

    Returns:
        wrong: how many test images each model gets wrong, by key, and shown: how many of these are
        among the photos; photos: those with a picture, in the order of `rank_photos`, each with its
        path, its picture, its true class and `answers` by model: the predicted class, its
        confidence, the class that comes second and its probability, whether it is wrong, and its
        shade; mistaken says whether any answer is.
    """
    order = rank_photos(tested)[:_MOST]
    pictures = {i: picture for i in order if (picture := album[tested.paths[i]])}
    answers = {
        model.key: _read_answers(tested, model, [*pictures], looks.get(model.key, {}))
        for model in tested.models
    }
    photos = []
    for place, (i, picture) in enumerate(pictures.items()):
        own = {key: rows[place] for key, rows in answers.items()}
        photos.append(
            {
                "path": tested.paths[i],
                "picture": picture,
                "label": int(tested.labels[i]),
                "answers": own,
                "mistaken": any(answer["wrong"] for answer in own.values()),
            }
        )
    return {
        "wrong": {m.key: int((m.predicted != tested.labels).sum()) for m in tested.models},
        "photos": photos,
        "shown": {key: sum(answer["wrong"] for answer in own) for key, own in answers.items()},
    }


def rank_photos(tested: Tested) -> list[int]:
    """The test images that are worth a look, each once, the most telling first.

    These are the surest mistakes of each model, the chosen one first; then of every pair of
    classes the surest mistakes, turn by turn, so that no pair is without a photo; then images that
    are right with the least confidence; then all other mistakes.
    """
    chosen, mistakes, by_turns = tested.chosen, [], []
    for model in tested.models:
        order = tested.surest_first(model)
        own = order[(model.predicted != tested.labels)[order]]
        mistakes.append(own)
        by_turns.append(_take_turns(own, tested.labels[own], model.predicted[own]))
    right = np.flatnonzero(chosen.predicted == tested.labels)
    doubtful = right[np.lexsort((tested.paths[right], chosen.confidence[right]))][:_RIGHT]
    surest = [own[:_SUREST] for own in mistakes]
    every = np.concatenate([*surest, *by_turns, doubtful, *mistakes])
    return list(dict.fromkeys(every.tolist()))


def _take_turns(images: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The first image of each pair of classes, then the second of each, and so on."""
    pairs = pd.DataFrame({"label": labels, "predicted": predicted})
    turns = pairs.groupby(["label", "predicted"]).cumcount().to_numpy()
    order = np.argsort(turns, kind="stable")
    return images[order[turns[order] < _OF_A_CELL]]


def _read_answers(
    tested: Tested, model: ReportedModel, rows: Sequence[int], looks: Mapping[int, np.ndarray]
) -> list[dict[str, Any]]:
    """What a model says of some images."""
    values = np.asarray(model.probabilities[np.array(rows, int)], float)
    values[np.arange(len(rows)), model.predicted[rows]] = -1
    found = []
    for i, shares in zip(rows, values, strict=True):
        wrong, second = bool(model.predicted[i] != tested.labels[i]), int(shares.argmax())
        probability = round(float(shares[second]), 6)
        found.append(
            {
                "predicted": int(model.predicted[i]),
                "confidence": float(model.confidence[i]),
                # Nothing where that is next to nothing.
                "second": (second, probability) if shares[second] >= _SECOND else None,
                "wrong": wrong,
                "shade": encode_shade(looks[i]) if wrong and i in looks else None,
            }
        )
    return found
