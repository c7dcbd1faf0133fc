"""From files to answers: decoded, run through the model and named, while others are still read."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, TypeVar

import numpy as np

from graft.common.arrays import INFERENCE_BATCH
from graft.common.errors import UserError
from graft.images.decoding import Decoded, decode_files, square_files
from graft.images.files import File
from graft.prediction.chosen import ChosenModel

_Label = TypeVar("_Label")


class Answer(NamedTuple):
    """What a model says of one photo.

    Attributes:
        path: of the photo.
        labels: the likeliest classes with their confidences, 0–1, best first; none for a file that
            cannot be read.
        reason: why it cannot; else empty.
        distance: from the photos that the model knows, 0–2; None if it was not asked for.
        unknown: whether that is too far for any class.
    """

    path: str
    labels: tuple[tuple[str, float], ...]
    reason: str = ""
    distance: float | None = None
    unknown: bool = False


class PhotoConfidences(NamedTuple):
    """All that a model says of one photo.

    Attributes:
        path: of the photo.
        confidences: float32 (classes,), summing to 1; None for a file that cannot be read. Of a
            model with known photos (width + classes,), the features in front of them.
        reason: why it cannot; else empty.
    """

    path: str
    confidences: np.ndarray | None
    reason: str = ""


def answer_photos(model: ChosenModel, found: Iterable[File], count: int) -> Iterator[Answer]:
    """The answers of a model, in the order of the files.

    Args:
        model: ready to answer.
        found: the files, taken as they are needed.
        count: how many classes to name.

    Raises:
        UserError: an output is not a finite number.
    """
    for path, confidences, reason in rate_photos(model, found):
        if confidences is None:
            yield Answer(path, (), reason)
            continue
        distance, unknown = None, False
        if model.known is not None:
            features, confidences = np.split(confidences, [model.known.directions.shape[1]])
            distance = float(model.known.distances_of(features[None])[0])
            unknown = distance > model.known.limit
        labels = best_labels(confidences, model.description.classes, count)
        yield Answer(path, tuple(labels), reason, distance, unknown)


def rate_photos(
    model: ChosenModel, found: Iterable[File], see: Callable[[Decoded], None] | None = None
) -> Iterator[PhotoConfidences]:
    """The confidences of a model, in the order of the files.

    Decoding and inference run side by side, and memory does not grow with the number of photos. An
    answer depends on its photo alone: it is the one that the pipeline gives.

    Args:
        model: ready to answer.
        found: the files, taken as they are needed.
        see: is given each photo that can be read, in their order, before its answer comes.

    Raises:
        UserError: an output is not a finite number.
    """
    from graft.models.inference import run_batches

    about = model.description
    # Files whose turn has not come; those with pixels say nothing.
    waiting: deque[PhotoConfidences] = deque()

    def pixels() -> Iterator[np.ndarray]:
        look = (about.side, about.fit, about.background, about.white_level)
        for path, result in (decode_files if see else square_files)(found, *look):
            bad = isinstance(result, str)
            waiting.append(PhotoConfidences(path, None, result if bad else ""))
            if isinstance(result, Decoded):
                see(result)
                yield result.pixels
            elif not bad:
                yield result

    batches = stack_batches(pixels(), INFERENCE_BATCH)
    for step in model.steps:
        outputs = run_batches(step.graph, batches)
        batches = map(itemgetter(np.s_[:, step.columns]), outputs)
    for output in batches:
        if not np.isfinite(output).all():
            raise UserError("some answers are not finite numbers: the model is damaged")
        for confidences in output:
            while waiting[0].reason:
                yield waiting.popleft()
            yield waiting.popleft()._replace(confidences=confidences)
    yield from waiting


def stack_batches(rows: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Rows in batches of at most `size`, each taken when its turn comes."""
    waiting = iter(rows)
    while batch := list(islice(waiting, size)):
        yield np.stack(batch)


def best_labels(
    confidences: np.ndarray, labels: Sequence[_Label], count: int
) -> list[tuple[_Label, float]]:
    """The labels with the highest confidences, best first; of equal ones the first.

    Args:
        confidences: float (n,).
        labels: n of them.
        count: how many.

    Returns:
        Each with its confidence, which has six decimals.
    """
    order = np.argsort(-confidences, kind="stable")[:count]
    rounded = confidences.astype(float).round(6)
    return [(labels[i], float(rounded[i])) for i in order]
