"""A model measured on other labelled photos, as the test part is, and what that says of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graft.common.arrays import Chosen
from graft.common.cautions import Caution
from graft.common.classes import natural
from graft.common.errors import refuse
from graft.prediction.chosen import OWN_MODELS, ChosenModel
from graft.report.confusion import count_confusion
from graft.report.reading import MODEL_NAMES, ReportedModel, Tested
from graft.split.remarks import TWO_LABELS
from graft.statistics.measures import measure
from graft.testing.gathering import (
    LEARNED,
    NEARLY,
    NEW_CLASS,
    GatheredPhotos,
    gather_photos,
    quote_names,
)
from graft.testing.learned import SPLIT, find_learned
from graft.testing.promise import Promise, Verdict, read_promise, set_beside

_NAMED = 5  # files that cannot be read, in a warning
_OUT = {True: "it does not count", False: "they do not count"}


class Trial(NamedTuple):
    """What came of it.

    Attributes:
        model: that was tried.
        source: what the user gave.
        gathered: all photos with all answers.
        tested: those that count, as the sections of the page have a test part.
        promise: what was known of the model before.
        verdict: how the accuracy is beside that.
        new: of each class that the model does not know, what its photos were taken for: pairs of a
            class and how many, the most frequent first.
        missing: the classes of the model without a photo.
        cautions: what a person should know of it.
    """

    model: ChosenModel
    source: str
    gathered: GatheredPhotos
    tested: Tested
    promise: Promise
    verdict: Verdict
    new: dict[str, list[tuple[str, int]]]
    missing: list[str]
    cautions: list[Caution]


@contextmanager
def try_model(model: ChosenModel, source: str, rules: tuple[str | int, str]) -> Iterator[Trial]:
    """Tries a model on labelled photos.

    Args:
        model: ready to answer.
        source: a folder, an archive or a CSV, as `dataset.path` has it.
        rules: as `dataset.label` and `dataset.group` have them.

    Yields:
        What came of it. Its pixels are there inside of the block.

    Raises:
        UserError: there are no photos that can be counted, or their labels cannot be read.
    """
    about = model.description
    learned = find_learned(about)
    with TemporaryDirectory(prefix="graft-") as folder:
        gathered = gather_photos(model, source, rules, learned, Path(folder))
        photos = gathered.photos
        counted = photos[photos["left_out"] == ""]
        if not len(counted):
            why = photos["left_out"].value_counts()
            received = "; ".join(f"{count} {text}" for text, count in why.items())
            raise refuse("the photos", "some that can be counted", received)
        tested = _measure(model, gathered, counted)
        own = model.name if learned is not None and model.name in OWN_MODELS else None
        present = {about.classes[number] for number in counted["truth"]}
        missing = [name for name in about.classes if name not in present]
        promise = read_promise(about, own, present)
        yield Trial(
            model=model,
            source=source,
            gathered=gathered,
            tested=tested,
            promise=promise,
            verdict=set_beside(tested.chosen.metrics, promise),
            new=_find_new(gathered, about.classes),
            missing=missing,
            cautions=[
                *gathered.cautions,
                *_warn(photos, learned is not None),
                *_warn_of_copies(gathered),
                *_warn_of_missing(missing, about.classes, promise),
            ],
        )


def _measure(model: ChosenModel, gathered: GatheredPhotos, counted: pd.DataFrame) -> Tested:
    """The photos that count, as the test part."""
    about = model.description
    labels, units = counted["truth"].to_numpy(), counted["unit"].to_numpy()
    rows = counted["row"].to_numpy()
    probabilities = gathered.probabilities[rows]
    predicted = probabilities.argmax(1)
    names = np.array(about.classes, object)
    key = model.name if model.name in OWN_MODELS else "finetuned"
    metrics: dict[str, Any] = measure(probabilities, labels, units)
    if len(about.classes) == 2:
        metrics |= _rank(probabilities[:, 1], labels)
    # A fine-tuned model that is the head on its network says 1: the head was calibrated before.
    temperature = about.temperature if about.temperature != 1 else None
    found = ReportedModel(
        key=key,
        name=MODEL_NAMES[key] if model.name in OWN_MODELS else "Model",
        metrics=metrics,
        history=pd.DataFrame(),
        training={"temperature": temperature},
        predicted=predicted,
        confidence=probabilities.max(1).astype(float).round(6),
        counts=count_confusion(
            pd.Series(names[labels]), pd.Series(names[predicted]), about.classes
        ),
        probabilities=Chosen(gathered.probabilities, rows),
    )
    return Tested(
        classes=about.classes,
        paths=counted["path"].to_numpy(object),
        labels=labels,
        units=units,
        models=(found,),
        all_models=(found,),
    )


def _rank(second: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What only a model of two classes has, but for the threshold, which is of validation."""
    from graft.statistics.threshold import judge_two_classes

    return judge_two_classes(second[:0], labels[:0], second, labels)


def _find_new(
    gathered: GatheredPhotos, classes: tuple[str, ...]
) -> dict[str, list[tuple[str, int]]]:
    new = gathered.photos[gathered.photos["left_out"] == NEW_CLASS]
    said = pd.Series(gathered.probabilities[new["row"]].argmax(1), new.index, dtype=int)
    found = {}
    for label in sorted(new["label"].unique(), key=natural):
        numbers, counts = np.unique(said[new["label"] == label], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        found[label] = [(classes[numbers[i]], int(counts[i])) for i in order]
    return found


def _warn(
    photos: pd.DataFrame,
    known: bool,
) -> Iterator[Caution]:
    why = photos["left_out"]

    def say(these: pd.Series, what: str) -> str:
        """How many photos these are, and what they are."""
        count = int(these.sum())
        return f"{count:,} of {len(photos):,} photos {'is' if count == 1 else 'are'} {what}"

    if not known:
        yield Caution(
            f"{SPLIT} of the model is not here, so photos that it has learned from would count"
        )
    bad = photos[photos["reason"] != ""]
    if len(bad):
        named = [f"{row.file} ({row.reason})" for row in bad.head(_NAMED).itertuples()]
        more = f", and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
        text = f"{len(bad):,} of {len(photos):,} photos cannot be read"
        out = _OUT[len(bad) == 1].removeprefix("it ").removeprefix("they ")
        yield Caution(f"{text} and {out}: {', '.join(named)}{more}")
    for reason in LEARNED.values():
        if (own := why == reason).any():
            yield Caution(f"{say(own, reason)} of the model: {_OUT[own.sum() == 1]}")
    if (own := (why == "") & (photos["part"] == "test")).any():
        yield Caution(say(own, "in the test part, by which the model was judged before"))
    if (own := why == TWO_LABELS).any():
        yield Caution(f"{say(own, 'equal to others of another label')}: {_OUT[own.sum() == 1]}")


def _warn_of_copies(gathered: GatheredPhotos) -> Iterator[Caution]:
    """What a model has learned from says too much for it, also where it was saved anew."""
    photos = gathered.photos
    for part, reason in NEARLY.items():
        own = photos[photos["left_out"] == reason]
        if len(own):
            right = int((gathered.probabilities[own["row"]].argmax(1) == own["truth"]).sum())
            one = len(own) == 1
            what = "a near copy of a photo" if one else "near copies of photos"
            yield Caution(
                f"{len(own):,} of {len(photos):,} photos {'is' if one else 'are'} {what}"
                f" {LEARNED[part]} of the model: {_OUT[one]} ({right:,} would be right)"
            )


def _warn_of_missing(
    missing: list[str], classes: tuple[str, ...], promise: Promise
) -> Iterator[Caution]:
    if missing:
        text = f"There is no photo of {len(missing):,} of the model's {len(classes):,} classes"
        of = "the others" if promise.way == "some" else "all"
        yield Caution(f"{text} ({quote_names(missing)}): the promise is of {of}")
