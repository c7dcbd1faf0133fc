"""What a model takes for none of its classes: which photos it knows, and how often it is wrong."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graft.common.arrays import Chosen
from graft.models.inference import run_graph
from graft.parts.rows import Rows
from graft.statistics.accuracy import accuracy_interval
from graft.unknown.neighbours import (
    KEPT,
    KnownPhotos,
    choose_known,
    find_limit,
    learn_known,
)
from graft.unknown.tapping import tap_features

_MEASURED = 500  # photos of a part at most, by which the limit is found, or tried


def learn_strangers(
    graph: Path, parts: Mapping[str, Rows], units: np.ndarray
) -> tuple[KnownPhotos, dict[str, Any]]:
    """Finds what a model knows, of training photos, and how far a photo may be from it.

    It runs the model once more, since the probabilities shall be those of the model as it is, bit
    by bit; over at most 1,000 training photos and 500 of each other part.

    Args:
        graph: from rows of the parts to probabilities, the `.xml` file.
        parts: train, valid and test.
        units: int64 (n,), of the test part, equal for photos that belong together.

    Returns:
        The known photos with the limit that the validation part gives; and what `unknown.json`
        says. known: how many these photos are. neighbours: which of them counts. limit: the
        distance above which a photo is none of the classes. kept: the share of the validation
        photos that is to be within it. n: test photos that were tried. false_alarms: how many of
        these are beyond it. false_alarm_rate: their share, with its 95 % interval by unit,
        false_alarm_low and false_alarm_high.
    """
    train = parts["train"]
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder, "both.xml")
        width = tap_features(graph, both)

        def features(rows: Rows, chosen: np.ndarray) -> np.ndarray:
            outputs = run_graph(both, Chosen(rows, chosen))
            none = np.empty((0, width), np.float32)  # of a part without photos
            return np.concatenate([none, *(output[:, :width] for output in outputs)])

        chosen = choose_known(train.ids, train.labels, width)
        known = learn_known(features(train, chosen), train.labels[chosen])
        valid, test = (_choose(parts[name]) for name in ("valid", "test"))
        distances = known.distances_of(features(parts["valid"], valid))
        known = known._replace(limit=find_limit(distances))
        within = known.distances_of(features(parts["test"], test)) <= known.limit
    interval = accuracy_interval(within, units[test])
    return known, {
        "known": len(known.directions),
        "neighbours": known.neighbours,
        "limit": known.limit,
        "kept": KEPT,
        "n": len(test),
        "false_alarms": int((~within).sum()),
        "false_alarm_rate": round(1 - float(within.mean()), 6),
        "false_alarm_low": round(1 - interval.high, 6),
        "false_alarm_high": round(1 - interval.low, 6),
    }


def _choose(rows: Rows) -> np.ndarray:
    """At most _MEASURED of the rows, by their ids: int64 (n,), rising."""
    return np.sort(np.argsort(np.array(rows.ids), kind="stable")[:_MEASURED])
