"""The page of `graft test --html`: what the page of the report has for the test part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graft.common import atomic
from graft.common.arrays import Chosen, RowSource
from graft.evaluation.looks import NO_LOOKS, Looks, find_looks
from graft.report.page import render_sections
from graft.report.sections.class_table import summarise_classes
from graft.report.sections.headline import say_meaning
from graft.report.sections.matrix import summarise_matrix
from graft.report.sections.mistakes import summarise_mistakes
from graft.report.sections.trust import summarise_trust
from graft.report.thumbnails import Album
from graft.testing.telling import TRIAL_TEMPLATES, say_beside, say_new
from graft.testing.trial import Trial

_ROOM = 4_500_000  # characters that photos may take, in base64, as on the page of the report
_QUESTIONS = (
    ("trial", "Result", "How good is it on these photos?"),
    ("mistakes", "Mistakes", "Where is it wrong?"),
    ("confusion", "Confusion", "What does it confuse?"),
    ("classes", "Classes", "Which classes?"),
    ("confidence", "Confidence", "Can its confidence be believed?"),
    ("counted", "Photos", "Which photos count?"),
)
# What has all answers, if the page has no room for them.
_ANSWERS = "the file that --output names"


class _SeenPhotos(NamedTuple):
    """The pixels of photos with their classes, as `LabelledRows`."""

    pixels: RowSource
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: Any) -> np.ndarray:  # type: ignore[override]
        return self.pixels[which]


def write_trial_page(path: Path, trial: Trial) -> None:
    """Writes the page: one file that asks for no other.

    Args:
        path: where to write it; `.html`.
        trial: with its pixels.
    """
    tested, model = trial.tested, trial.tested.chosen
    photos = trial.gathered.photos
    counted = photos[photos["left_out"] == ""]
    rows = counted["row"].to_numpy()
    places = dict(zip(counted["path"], counted["row"].tolist(), strict=True))
    looks = _find_looks(trial, rows)
    found = dict(zip(looks.rows.tolist(), looks.maps, strict=True))
    sections = {
        "trial": {
            "beside": say_beside(trial),
            "promise": trial.promise,
            "meaning": say_meaning(tested.labels, model),
            "cautions": trial.cautions,
        },
        "mistakes": summarise_mistakes(
            tested, Album(trial.gathered.pixels, places, _ROOM), {model.key: found}
        ),
        "confusion": summarise_matrix(tested),
        "classes": summarise_classes(tested),
        "confidence": summarise_trust(tested),
        "counted": _summarise_photos(trial),
    }
    text = render_sections(
        tested,
        sections,
        TRIAL_TEMPLATES,
        answers=_ANSWERS,
        questions=_QUESTIONS,
        parameters={"dataset.path": trial.source},
    )
    atomic.write_text(path, text)


def _find_looks(trial: Trial, rows: np.ndarray) -> Looks:
    """Where the model looked in its mistakes; nowhere if it is a head on another graph."""
    if len(trial.model.steps) > 1:
        return NO_LOOKS
    seen = _SeenPhotos(Chosen(trial.gathered.pixels, rows), trial.tested.labels)
    probabilities = trial.gathered.probabilities[rows]
    return find_looks(trial.model.steps[0].graph, seen, probabilities)


def _summarise_photos(trial: Trial) -> dict[str, Any]:
    """How many photos count, by class; why the others do not; and new classes."""
    photos = trial.gathered.photos
    out = photos[photos["left_out"] != ""]
    reasons: Sequence[tuple[str, int]] = [*out["left_out"].value_counts().items()]
    return {
        "all": len(photos),
        "count": np.bincount(trial.tested.labels, minlength=len(trial.tested.classes)).tolist(),
        "reasons": [(text, int(number)) for text, number in reasons],
        "examples": dict(zip(out["left_out"][::-1], out["path"][::-1], strict=True)),
        "new": say_new(trial),
    }
