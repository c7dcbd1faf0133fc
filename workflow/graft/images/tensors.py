"""Decode and resize the images of a shard; quarantine what cannot be read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from graft.common.arrays import Growing, copy_rows
from graft.common.errors import UserError
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import read_table, write_table
from graft.images import files
from graft.images.decoding import Decoded, decode_files
from graft.images.files import File
from graft.images.sources import Source, open_source

_COLUMNS = ["status", "reason", "width", "height", "phash", "pixels"]


def main(stage: Stage) -> None:
    """Writes the shard's pixels and its table, in the order of the manifest.

    `tensors/SHARD.npy` is uint8 (n, side, side, 3), a row for each row of `checked/SHARD.csv` whose
    status is `ok`; an id that occurs twice in the manifest occurs once here. The table's other
    rows are `quarantined`, with the reason. Its column pixels is a hash of the row of pixels.

    Raises:
        UserError: a file is not the one that the manifest lists.
    """
    manifest = read_table(stage.input("data/manifest.csv"), ["id", "path", "shard", "reason"])
    shard = manifest[manifest["shard"] == stage.key].drop_duplicates("id", ignore_index=True)
    found = [_quarantined(reason) for reason in shard["reason"]]
    pixels = stage.output(f"data/tensors/{stage.key}.npy")
    # The images come in the order of the source, and go to a file as they come: memory stays flat
    # however many there are.
    spool, side = pixels.with_suffix(".spool"), stage["image.side"]
    # Where each image's pixels are: in which file, and in which row there.
    places = np.full((len(shard), 2), -1)
    files_of_pixels = [spool]
    readable = shard["reason"] == ""
    if earlier := _read_earlier(stage):
        rows, before = earlier
        files_of_pixels.append(before)
        for number in np.flatnonzero(readable & shard["id"].isin(rows)):
            row, found[number] = rows[shard["id"][number]]
            places[number] = (1, row) if row >= 0 else (-1, -1)
            readable[number] = False
    with Growing(spool, np.uint8, (side, side, 3)) as out:
        for number, result in _decoded(stage, shard[readable]):
            if isinstance(result, str):
                found[number] = _quarantined(result)
            else:
                found[number] = _good(result)
                places[number] = 0, len(out)
                out.add(result.pixels[None])
    with Growing(pixels, np.uint8, (side, side, 3)) as out:
        good = places[places[:, 0] >= 0]
        copy_rows(out, files_of_pixels, good[:, 0], good[:, 1])
    spool.unlink()
    table = shard[["id"]].join(pd.DataFrame(found, columns=_COLUMNS))
    write_table(stage.output(f"data/checked/{stage.key}.csv"), table)
    if earlier:
        new = int(readable.sum())
        print(f"tensors {stage.key}: {new:,} of {len(shard):,} images, the others as before")


def _good(image: Decoded) -> tuple[str, ...]:
    return "ok", "", str(image.width), str(image.height), image.phash, image.digest


def _quarantined(reason: str) -> tuple[str, ...]:
    return "quarantined", reason, "0", "0", "", ""


def _read_earlier(stage: Stage) -> tuple[dict[str, tuple[int, tuple[str, ...]]], Path] | None:
    """What the last run made of the files of this shard; None if nothing may be taken from it.

    Returns:
        By id, the row of the pixels, -1 where there is none, and the columns of the table; and the
        file of the pixels.
    """
    found = stage.earlier(f"data/checked/{stage.key}.csv", f"data/tensors/{stage.key}.npy")
    if not found:
        return None
    checked, pixels = read_table(found[0]), found[1]
    good = checked["status"] == "ok"
    numbers = np.where(good, np.cumsum(good) - 1, -1).tolist()
    columns = zip(*(checked[column] for column in _COLUMNS), strict=True)
    rows = zip(checked["id"], zip(numbers, columns, strict=True), strict=True)
    return dict(rows), pixels


def _decoded(stage: Stage, shard: pd.DataFrame) -> Iterator[tuple[int, Decoded | str]]:
    """The number of each of these files of the shard, and its image or why it has none."""
    if shard.empty:
        return
    numbers = dict(zip(shard["path"], shard.index, strict=True))
    with (
        open_source(stage["dataset.path"]) as source,
        Progress(f"tensors {stage.key}", len(shard), "images") as progress,
    ):
        found = _checked(source, numbers, shard["id"])
        for path, result in decode_files(found, stage["image.side"], stage["image.fit"]):
            yield numbers[path], result
            progress.advance()


def _checked(source: Source, numbers: dict[str, int], ids: pd.Series) -> Iterator[File]:
    """Each file, found to be the one that the manifest lists."""
    left = dict(numbers)
    for file in source.files(numbers):
        if file.data is None:
            raise _outdated(file.path, f"cannot be read any more: {file.problem}")
        number = left.pop(file.path, None)
        if number is None or files.identity(file.data) != ids[number]:
            raise _outdated(file.path, "has changed since the manifest was made")
        yield file
    if left:
        raise _outdated(min(left), f"cannot be read any more: {files.MISSING}")


def _outdated(path: str, what: str) -> UserError:
    return UserError(f"{path!r} {what}. Run the manifest again")
