"""Decode and resize the images of a shard; quarantine what cannot be read."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from graft.common.arrays import Growing, Stored, in_batches
from graft.common.errors import UserError
from graft.common.parallel import in_parallel
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import read_table, write_table
from graft.images import files
from graft.images.decoding import Decoded, Undecodable, decode
from graft.images.sources import Source, open_source

_COLUMNS = ["status", "reason", "width", "height", "phash"]


def main(stage: Stage) -> None:
    """Writes the shard's pixels and its table, in the order of the manifest.

    `tensors/SHARD.npy` is uint8 (n, side, side, 3), a row for each row of `checked/SHARD.csv` whose
    status is `ok`; an id that occurs twice in the manifest occurs once here. The table's other
    rows are `quarantined`, with the reason.

    Raises:
        UserError: a file is not the one that the manifest lists.
    """
    manifest = read_table(stage.input("data/manifest.csv"), ["id", "path", "shard", "reason"])
    shard = manifest[manifest["shard"] == stage.key].drop_duplicates("id", ignore_index=True)
    found = [("quarantined", reason, 0, 0, "") for reason in shard["reason"]]
    pixels = stage.output(f"data/tensors/{stage.key}.npy")
    # The images come in the order of the source, and go to a file as they come: memory stays flat
    # however many there are.
    spool, side = pixels.with_suffix(".spool"), stage["image.side"]
    numbers = []  # of the images in the spool
    with Growing(spool, np.uint8, (side, side, 3)) as out:
        for number, result in _decoded(stage, shard):
            if isinstance(result, str):
                found[number] = ("quarantined", result, 0, 0, "")
            else:
                found[number] = ("ok", "", result.width, result.height, result.phash)
                numbers.append(number)
                out.add(result.pixels[None])
    rows = Stored(spool)
    with Growing(pixels, np.uint8, (side, side, 3)) as out:
        for some in in_batches(np.argsort(numbers)):
            out.add(rows[some])
    spool.unlink()
    table = shard[["id"]].join(pd.DataFrame(found, columns=_COLUMNS))
    write_table(stage.output(f"data/checked/{stage.key}.csv"), table)


def _decoded(stage: Stage, shard: pd.DataFrame) -> Iterator[tuple[int, Decoded | str]]:
    """The number of each readable file of the shard, and its image or why it has none."""
    read = shard[shard["reason"] == ""]
    numbers = dict(zip(read["path"], read.index, strict=True))
    side = stage["image.side"]
    with (
        open_source(stage["dataset.path"]) as source,
        Progress(f"tensors {stage.key}", len(read), "images") as progress,
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
