"""What a model takes for none of its classes: which photos it knows, and how often it is wrong."""

import tempfile
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graft.common.arrays import Chosen, RowSource, in_batches
from graft.common.progress import Progress
from graft.models.inference import run_batches
from graft.parts.rows import Rows
from graft.statistics.accuracy import accuracy_interval
from graft.unknown.neighbours import (
    KnownPhotos,
    choose_known,
    find_limit,
    learn_known,
    share_beyond,
)
from graft.unknown.tapping import tap_features


class PartAnswers(NamedTuple):
    """What a model says of the photos of a part.

    Attributes:
        probabilities: float32 (n, classes).
        distances: float64 (n,), to the photos that the model knows.
    """

    probabilities: np.ndarray
    distances: np.ndarray


def answer_parts(
    name: str, graph: Path, parts: Mapping[str, Rows]
) -> tuple[KnownPhotos, PartAnswers, PartAnswers]:
    """Runs a model once: over the training photos that are kept, then over the other parts.

    Args:
        name: of the model, for the line of progress.
        graph: from rows of the parts to probabilities, the `.xml` file.
        parts: train, valid and test.

    Returns:
        The photos that the model knows, and what it says of the validation and the test part.
    """
    train, valid, test = (parts[part] for part in ("train", "valid", "test"))
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder, "both.xml")
        width = tap_features(graph, both)
        chosen = choose_known(train.ids, train.labels, width)
        rows = (Chosen(train, chosen), valid, test)
        outputs = _run(name, both, rows)
        first = list(islice(outputs, sum(1 for _ in in_batches(chosen))))
        known = learn_known(np.concatenate(first)[:, :width], train.labels[chosen])
        found = [(out[:, width:], known.distances_of(out[:, :width])) for out in outputs]
    probabilities, distances = map(np.concatenate, zip(*found, strict=True))
    return (
        known,
        PartAnswers(probabilities[: len(valid)], distances[: len(valid)]),
        PartAnswers(probabilities[len(valid) :], distances[len(valid) :]),
    )


def _run(name: str, graph: Path, rows: tuple[RowSource, ...]) -> Iterator[np.ndarray]:
    with Progress(f"evaluate {name}", sum(map(len, rows)), "images") as progress:
        for output in run_batches(graph, chain.from_iterable(map(in_batches, rows))):
            yield output
            progress.advance(len(output))


def judge_strangers(
    known: KnownPhotos,
    valid: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
) -> tuple[KnownPhotos, dict[str, Any]]:
    """How far a photo of the classes may be by the validation part, and what the test part says.

    Args:
        known: the photos that a model knows.
        valid: distances, float64 (n,), and units, int64 (n,), equal for photos that belong
            together.
        test: the same of the test part.

    Returns:
        The known photos with the limit; and what `unknown.json` says. known: how many these photos
        are. neighbours: which of them counts. limit: the distance above which a photo is none of
        the classes. wanted: the share of photos of the classes that are beyond it at most, on
        average. n: test photos. false_alarms: how many of these are beyond it. false_alarm_rate:
        their share, with its 95 % interval by unit, false_alarm_low and false_alarm_high.
    """
    known = known._replace(limit=find_limit(*valid))
    distances, units = test
    within = distances <= known.limit
    interval = accuracy_interval(within, units)
    return known, {
        "known": len(known.directions),
        "neighbours": known.neighbours,
        "limit": known.limit,
        "wanted": round(share_beyond(len(np.unique(valid[1]))), 6),
        "n": len(within),
        "false_alarms": int((~within).sum()),
        "false_alarm_rate": round(1 - float(within.mean()), 6),
        "false_alarm_low": round(1 - interval.high, 6),
        "false_alarm_high": round(1 - interval.low, 6),
    }
