"""The pictures of the project's data set, as the last build has listed, divided and checked them.

A build may be at work meanwhile, and its tables are then of two states. Each is joined by ids and
paths, so that nothing is said of another picture; what a table does not have yet is not known.
"""

import hashlib
import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graft.common.classes import in_order
from graft.common.errors import UserError
from graft.common.tables import read_table
from graft.integrity.ground import flatten
from graft.project.labelled import MANIFEST
from graft.project.parameters import PARAMETERS, read_parameters
from graft.project.pipeline import SHARDS, count_shards

_SPLIT, _CHECKED, _TENSORS = Path("data/split.csv"), Path("data/checked"), Path("data/tensors")
_FEATURES, LAYER = Path("data/features"), Path("data/depth/layer.json")
SUSPECTED = Path("reports/label_errors.csv")
# The mistakes of the chosen model, which is the head where fine-tuning was no better.
MISTAKEN = (Path("reports/finetuned/validation.csv"), Path("reports/finetuned/predictions.csv"))

_PAUSE = 0.5  # seconds between two looks at the files, of which there may be thousands


class Gone(Exception):
    """What is asked for is not there any more, since a build has written other files."""


class Place(NamedTuple):
    """Where the pixels and the features of a picture are: the shard, and the row in its arrays."""

    shard: str
    row: int


class Picture(NamedTuple):
    """A picture: all files with the same bytes.

    Attributes:
        id: a hash of the bytes, 32 hexadecimal digits.
        paths: of its files, in natural order.
        labels: of its files, each once; none where corrections leave it out.
        by_hand: whether a correction has decided the label.
        part: train, valid or test; `left out: ` with the reason; or empty where it is not divided.
        problem: why it cannot be read; else empty.
        place: in the arrays; None where they do not have it.
    """

    id: str
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    by_hand: bool
    part: str
    problem: str
    place: Place | None


@dataclass(frozen=True)
class Collection:
    """All pictures at one time.

    Attributes:
        source: the value of `dataset.path`.
        corrections: the file that has the corrections.
        background, white_level: of pictures, as of `decode`.
        classes: their names, in the order of a model's outputs.
        pictures: by id, in the order of the manifest.
        ids: of all files, by their path.
        signs: of the files that this was read from, by their path.
        version: another one where one of these files is another.
    """

    source: str
    corrections: Path
    background: str
    white_level: int | str
    classes: tuple[str, ...]
    pictures: Mapping[str, Picture]
    ids: Mapping[str, str]
    signs: Mapping[Path, Any]
    version: str

    def read_pixels(self, picture: Picture) -> np.ndarray | None:
        """What the network sees of a picture: uint8 (side, side, 3); None where that is not made.

        Raises:
            Gone: a build has written other arrays.
        """
        if picture.place is None:
            return None
        path = _TENSORS / f"{picture.place.shard}.npy"
        return self._open(path)[picture.place.row].copy()

    def open_features(self, shard: str) -> np.ndarray:
        """The features of a shard, float (n, width) of all layers that are stored, as a map.

        Raises:
            Gone: a build has written other arrays, or there are none.
        """
        return self._open(_FEATURES / f"{shard}.npy")

    def _open(self, path: Path) -> np.ndarray:
        try:
            array = np.load(path, mmap_mode="r")
        except (OSError, ValueError):
            raise Gone(str(path)) from None
        # Compared once it is open: what is put in its place from now on does not reach it.
        if sign_file(path) != self.signs.get(path):
            raise Gone(str(path))
        return array


def sign_file(path: Path) -> Any:
    """What tells a file from another one that is put in its place; None where there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None


def sign_files() -> dict[Path, Any]:
    """The signatures of all files that a collection is read from, and of those beside it."""
    tables = (PARAMETERS, SHARDS, MANIFEST, _SPLIT, LAYER, SUSPECTED, *MISTAKEN)
    arrays = (_FEATURES, _TENSORS)
    shards = map(str, range(count_shards()))
    per_shard = ((_CHECKED / f"{n}.csv", *(array / f"{n}.npy" for array in arrays)) for n in shards)
    return {path: sign_file(path) for path in (*tables, *(p for paths in per_shard for p in paths))}


def name_version(signs: Mapping[Path, Any]) -> str:
    """A short name for the state of files."""
    return hashlib.sha256(repr(sorted(signs.items())).encode()).hexdigest()[:16]


def read_collection() -> Collection:
    """Reads the data set of the project in the present folder.

    Raises:
        UserError: nothing is built yet, or `params.yaml` is wrong.
    """
    signs = sign_files()
    parameters = flatten(read_parameters())
    if signs[MANIFEST] is None:
        raise UserError(f"{MANIFEST} is missing; `uv run snakemake --cores all` makes it")
    pictures, ids = _read_pictures(signs)
    names = {label for picture in pictures.values() for label in picture.labels}
    return Collection(
        source=parameters["dataset.path"],
        corrections=Path(parameters["dataset.corrections"]),
        background=parameters["image.background"],
        white_level=parameters["image.white_level"],
        classes=in_order(names, parameters["dataset.classes"]),
        pictures=pictures,
        ids=ids,
        signs=signs,
        version=name_version(signs),
    )


def _read_pictures(signs: Mapping[Path, Any]) -> tuple[dict[str, Picture], dict[str, str]]:
    manifest = read_table(MANIFEST, ["id", "path", "label", "by_hand", "reason"])
    parts = dict(_read_parts(signs))
    checked = dict(_read_checked(signs))
    files = defaultdict(list)
    columns = (manifest[name] for name in ("id", "path", "label", "by_hand", "reason"))
    for id_, *facts in zip(*columns, strict=True):
        files[id_].append(facts)
    pictures = {}
    for id_, own in files.items():
        paths, labels, by_hand, reasons = zip(*own, strict=True)
        problem, place = checked.get(id_, (reasons[0], None))
        own_parts = [part for path in paths if (part := parts.get((id_, path)))]
        # Of equal files some may be left out; the picture is where one of them is used.
        part = min(own_parts, key=lambda text: ":" in text, default="")
        named = tuple(dict.fromkeys(label for label in labels if label))
        pictures[id_] = Picture(id_, paths, named, "yes" in by_hand, part, problem, place)
    return pictures, dict(zip(manifest["path"], manifest["id"], strict=True))


def _read_parts(signs: Mapping[Path, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """The part of each file, by its id and path."""
    if signs[_SPLIT] is not None:
        table = read_table(_SPLIT, ["id", "path", "part"])
        yield from zip(zip(table["id"], table["path"], strict=True), table["part"], strict=True)


def _read_checked(signs: Mapping[Path, Any]) -> Iterator[tuple[str, tuple[str, Place | None]]]:
    """Why a picture cannot be read, and its place in the arrays, by its id."""
    for path in signs:
        if path.parent != _CHECKED or signs[path] is None:
            continue
        table = read_table(path, ["id", "status", "reason"])
        # In the middle of a build the arrays may be of another state than the table.
        placed = _count_rows(_TENSORS / f"{path.stem}.npy") == (table["status"] == "ok").sum()
        row = 0
        columns = (table[name] for name in ("id", "status", "reason"))
        for id_, status, reason in zip(*columns, strict=True):
            good = status == "ok"
            yield id_, (reason, Place(path.stem, row) if good and placed else None)
            row += good


def _count_rows(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return len(np.load(path, mmap_mode="r"))
    return None


class PresentCollection:
    """The collection as the files are now: read anew once a build has written others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: Collection | None = None
        self._looked = -math.inf

    def get(self, at_once: bool = False) -> Collection:
        """The collection.

        Args:
            at_once: whether to look at the files however short ago that was.

        Raises:
            UserError: as `read_collection`.
        """
        with self._lock:
            due = at_once or time.monotonic() - self._looked > _PAUSE
            if self._read is not None and due and sign_files() != self._read.signs:
                self._read = None
            if self._read is None:
                self._read = read_collection()
            if due:
                self._looked = time.monotonic()
            return self._read
