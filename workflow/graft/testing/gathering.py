"""Labelled photos with all that a model says of them, and which of them count."""

import shlex
from collections.abc import Collection
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from graft.common.arrays import Growing, RowSource, Stored
from graft.common.cautions import Caution
from graft.common.classes import PARTS, natural, normal
from graft.common.errors import refuse
from graft.common.progress import Progress
from graft.copies.large import examine_set, find_large
from graft.copies.similarity import find_near
from graft.images import files
from graft.images.decoding import Decoded
from graft.images.sources import is_csv, open_source
from graft.labelling.labels import Asked
from graft.labelling.listing import list_labelled
from graft.prediction.answers import rate_photos
from graft.prediction.chosen import ChosenModel
from graft.split.remarks import TWO_LABELS
from graft.split.units import find_groups, number_units
from graft.testing.learned import LearnedPictures, find_nearly_learned

# Why a photo that can be read does not count.
LEARNED = {"train": "in the training part", "valid": "in the validation part"}
NEARLY = {part: f"near copy of a photo {place}" for part, place in LEARNED.items()}
NEW_CLASS = "class unknown to the model"
TYPED = Asked(
    "the photos", "--label", lambda value: f"graft test … --label {shlex.quote(str(value))}"
)
# The default of `duplicates.difference`: the photos are of no project that could say another.
_DIFFERENCE = 0.3
_NAMED = 3  # names that a sentence has


class GatheredPhotos(NamedTuple):
    """Labelled photos, and what a model says of them.

    Attributes:
        photos: a row for each, in natural order of the paths. str columns: path, within the source;
            file, the path from the present folder; id; label; group; part, that of the model's data
            set in which an equal file is; nearly, that of a picture of which it is a near copy,
            `train` or `valid`; reason, why it cannot be read; left_out, why it does not
            count, else empty. int64 columns: truth, the number of its class in the model, −1 for
            one that the model does not know; row, that of `probabilities` and `pixels`, −1 if it
            cannot be read; unit, equal for photos that belong together.
        probabilities: float32 (readable, classes).
        pixels: uint8 (readable, side, side, 3), as the model sees them.
        cautions: what a person should know of it.
    """

    photos: pd.DataFrame
    probabilities: np.ndarray
    pixels: RowSource
    cautions: list[Caution]


def gather_photos(
    model: ChosenModel,
    source: str,
    rules: tuple[str | int, str],
    learned: LearnedPictures | None,
    scratch: Path,
) -> GatheredPhotos:
    """Finds labelled photos, and asks a model about each.

    Args:
        model: ready to answer.
        source: a folder, an archive or a CSV, as `dataset.path` has it.
        rules: how labels are found, and what belongs together, as `dataset.label` and
            `dataset.group` have it.
        learned: what the model was made from, if that is known.
        scratch: a folder for the pixels, which are not kept in memory.

    Raises:
        UserError: there is no labelled photo, or none of a class that the model knows.
    """
    photos, cautions = _list_photos(source, *rules)
    photos["truth"] = _number_classes(photos["label"], model.description.classes, cautions)
    parts = learned.parts if learned else {}
    photos["part"] = [parts.get(id_, "") for id_ in photos["id"]]
    probabilities, hashes, pixels = _rate(model, source, photos, scratch / "pixels.npy")
    photos["nearly"] = ""
    if learned:
        nearly = find_nearly_learned(learned, hashes, pixels, _DIFFERENCE)
        readable = photos["row"] >= 0
        photos.loc[readable, "nearly"] = nearly[photos["row"][readable]]
    photos["unit"] = _number_units(photos, hashes, pixels)
    photos["left_out"] = _leave_out(photos)
    return GatheredPhotos(photos, probabilities, pixels, cautions)


def _list_photos(
    source: str, label_rule: str | int, group_rule: str
) -> tuple[pd.DataFrame, list[Caution]]:
    found = list_labelled(source, label_rule, "test", TYPED, anywhere=True)
    cautions = found.cautions
    lost = [file for file in found.files if found.is_listed(file) and file.path not in found.labels]
    if lost:
        text = f"{len(lost):,} of the files in the archive cannot be read, and have no label"
        cautions.append(Caution(f"{text}, such as {lost[0].path!r} ({lost[0].problem})"))
    top = Path(source).parent if is_csv(source) else Path(source)
    rows = []
    for path, id_, problem, _ in found.files:
        if said := found.labels.get(path):
            shown = files.printable(str(top / path))
            rows.append(
                {"path": path, "file": shown, "id": id_, "reason": problem, "label": said.label}
                | {"group": said.group, "given": said.part, **said.more}
            )
    photos = pd.DataFrame(rows)
    if parts := [part for part in PARTS if part in set(photos["given"])]:
        cautions.append(Caution(f"The photos come in parts ({', '.join(parts)}): all are taken"))
    photos["group"] = find_groups(photos, group_rule, "--group")
    return photos.filter(["path", "file", "id", "reason", "label", "group"]), cautions


def _number_classes(
    labels: pd.Series, classes: Collection[str], cautions: list[Caution]
) -> np.ndarray:
    """The number of each label among the model's classes, −1 for none: int64 (n,).

    Capital letters alone make no other class, since no data set has two that differ so.
    """
    exact = {normal(name): number for number, name in enumerate(classes)}
    folded = {name.casefold(): number for name, number in exact.items()}
    found = {}
    for label in dict.fromkeys(labels):
        name = normal(label)
        found[label] = exact.get(name, folded.get(name.casefold(), -1))
        if name not in exact and found[label] >= 0:
            own = [*classes][found[label]]
            cautions.append(Caution(f"The class {label!r} is taken for the model's {own!r}"))
    if max(found.values()) < 0:
        received = sorted(found, key=natural)[:_NAMED]
        raise refuse("the labels", f"classes of the model: {quote_names(classes)}", received)
    return labels.map(found).to_numpy(np.int64)


def _rate(
    model: ChosenModel, source: str, photos: pd.DataFrame, place: Path
) -> tuple[np.ndarray, np.ndarray, Stored]:
    """Asks the model, and sets the columns row and reason.

    Returns:
        The probabilities, perceptual hashes uint64 (readable,), and pixels.
    """
    about = model.description
    wanted = dict.fromkeys(photos["path"][photos["reason"] == ""])
    numbers = dict(zip(photos["path"], photos.index, strict=True))
    rows, reasons = np.full(len(photos), -1), photos["reason"].to_numpy(object).copy()
    hashes: list[int] = []
    rated: list[np.ndarray] = []
    shape = (about.side, about.side, 3)
    with (
        Growing(place, np.uint8, shape) as pixels,
        open_source(source, TYPED.source, anywhere=True) as opened,
        Progress("test", len(wanted), "photos") as progress,
    ):

        def see(photo: Decoded) -> None:
            pixels.add(photo.pixels[None])
            hashes.append(int(photo.phash, 16))

        for path, confidences, reason in rate_photos(model, opened.files(wanted), see):
            if confidences is None:
                reasons[numbers[path]] = reason
            else:
                rows[numbers[path]] = len(rated)
                rated.append(confidences)
            progress.advance()
    photos["row"], photos["reason"] = rows, reasons
    probabilities = np.array(rated, np.float32).reshape(-1, len(about.classes))
    return probabilities, np.array(hashes, np.uint64), Stored(place)


def _number_units(photos: pd.DataFrame, hashes: np.ndarray, pixels: RowSource) -> pd.Series:
    """Equal files, near copies and those of one group are one unit, as in a data set."""
    photos["cluster"] = photos["id"]
    good = photos[photos["row"] >= 0].sort_values("row")
    if len(good) > 1:
        sets, _, _ = find_near(hashes, pixels, _DIFFERENCE)
        labels = good["label"].to_numpy()
        for number in find_large(sets, labels):
            members = np.flatnonzero(sets == number)
            large = examine_set(members, hashes, pixels, labels, _DIFFERENCE)
            if large.divided:
                sets[members] = sets.max() + 1 + large.pieces
        photos.loc[good.index, "cluster"] = [f"set {number}" for number in sets]
    return number_units(photos)


def _leave_out(photos: pd.DataFrame) -> pd.Series:
    """Why each photo does not count, the first reason that holds; empty if it counts."""
    readable = photos["reason"] == ""
    labels = photos["label"].where(readable).groupby(photos["id"]).transform("nunique")
    reasons = (
        photos["reason"],
        photos["part"].map(lambda part: LEARNED.get(part, "")),
        photos["nearly"].where(photos["part"] == "").map(lambda part: NEARLY.get(part, "")),
        pd.Series(np.where(labels > 1, TWO_LABELS, ""), photos.index),
        pd.Series(np.where(photos["truth"] < 0, NEW_CLASS, ""), photos.index),
    )
    found = pd.Series("", photos.index, dtype=str)
    for reason in reasons:
        found = found.where(found != "", reason)
    return found


def quote_names(names: Collection[str]) -> str:
    """The first of some names, in natural order, in quotes."""
    named = sorted(names, key=natural)[:_NAMED]
    return ", ".join(chain(map(repr, named), ["…"] if len(names) > _NAMED else []))
