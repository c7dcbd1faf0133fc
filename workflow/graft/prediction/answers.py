"""From files to answers: decoded, run through the model and named, while others are still read."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, TypeVar

import numpy as np

from graft.common.arrays import INFERENCE_BATCH
from graft.common.errors import UserError
from graft.images.decoding import Decoded, decode_files
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
    """

    path: str
    labels: tuple[tuple[str, float], ...]
    reason: str = ""


class PhotoConfidences(NamedTuple):
    """All that a model says of one photo.

    Attributes:
        path: of the photo.
        confidences: float32 (classes,), summing to 1; None for a file that cannot be read.
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
        rated = confidences is not None
        labels = best_labels(confidences, model.description.classes, count) if rated else ()
        yield Answer(path, tuple(labels), reason)


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
        for path, result in decode_files(found, *look):
            good = not isinstance(result, str)
            waiting.append(PhotoConfidences(path, None, "" if good else result))
            if good:
                if see:
                    see(result)
                yield result.pixels

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
