"""Decode and resize the images of a shard; quarantine what cannot be read."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from graft.common.arrays import Growing, copy_rows
from graft.common.errors import UserError
from graft.common.parallel import in_parallel
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import read_table, write_table
from graft.images import files
from graft.images.decoding import Decoded, Undecodable, decode
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
        files_of_pixels.append(earlier.pixels)
        for number in np.flatnonzero(readable & shard["id"].isin(earlier.rows)):
            row, found[number] = earlier.rows[shard["id"][number]]
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


class _Earlier(NamedTuple):
    """What the last run made of the files of this shard.

    Attributes:
        rows: by id, the row of the pixels, -1 where there is none, and the columns of the table.
        pixels: the file of the pixels.
    """

    rows: dict[str, tuple[int, tuple[str, ...]]]
    pixels: Path


def _read_earlier(stage: Stage) -> _Earlier | None:
    """What became of each file in the last run; None if nothing may be taken from it."""
    found = stage.earlier(f"data/checked/{stage.key}.csv", f"data/tensors/{stage.key}.npy")
    if not found:
        return None
    checked, pixels = read_table(found[0]), found[1]
    good = checked["status"] == "ok"
    numbers = np.where(good, np.cumsum(good) - 1, -1).tolist()
    columns = zip(*(checked[column] for column in _COLUMNS), strict=True)
    rows = zip(checked["id"], zip(numbers, columns, strict=True), strict=True)
    return _Earlier(dict(rows), pixels)


def _decoded(stage: Stage, shard: pd.DataFrame) -> Iterator[tuple[int, Decoded | str]]:
    """The number of each of these files of the shard, and its image or why it has none."""
    if shard.empty:
        return
    numbers = dict(zip(shard["path"], shard.index, strict=True))
    side = stage["image.side"]
    with (
        open_source(stage["dataset.path"]) as source,
        Progress(f"tensors {stage.key}", len(shard), "images") as progress,
    ):
        data = _checked(source, numbers, shard["id"])
        work = partial(decode_numbered, side=side, fit=stage["image.fit"])
        for item in in_parallel(work, data, partial(weigh_file, side=side)):
            yield item
            progress.advance()


def _checked(
    source: Source, numbers: dict[str, int], ids: pd.Series
) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each file, found to be those that the manifest lists."""
    left = dict(numbers)
    for file in source.files(numbers):
        if file.data is None:
            raise _outdated(file.path, f"cannot be read any more: {file.problem}")
        number = left.pop(file.path, None)
        if number is None or files.identity(file.data) != ids[number]:
            raise _outdated(file.path, "has changed since the manifest was made")
        yield number, file.data
    if left:
        raise _outdated(min(left), f"cannot be read any more: {files.MISSING}")


def _outdated(path: str, what: str) -> UserError:
    return UserError(f"{path!r} {what}. Run the manifest again")


def decode_numbered(item: tuple[int, bytes], side: int, fit: str) -> tuple[int, Decoded | str]:
    """A file's number, and its image or why it has none; other processes run this."""
    number, data = item
    try:
        return number, decode(data, side, fit)
    except Undecodable as error:
        return number, str(error)


def weigh_file(item: tuple[int, bytes], side: int) -> int:
    """The bytes that a file and its image take on their way to another process and back."""
    return len(item[1]) + 3 * side * side
