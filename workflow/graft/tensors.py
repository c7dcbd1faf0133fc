"""Decode and resize the images of a shard; quarantine what cannot be read."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from graft import files, sources, tables
from graft.arrays import Growing, Stored
from graft.atomic import whole
from graft.cores import in_parallel
from graft.decoding import Decoded, Undecodable, decode
from graft.errors import UserError
from graft.progress import Progress
from graft.sources import Source
from graft.stage import Stage

ROWS = 64  # that are put in order at once
COLUMNS = ["id", "status", "reason", "width", "height", "phash"]


def main(arguments: list[str]) -> None:
    """Writes the shard's pixels and its table, in the order of the manifest.

    `tensors/SHARD.npy` is uint8 (n, side, side, 3), a row for each row of `tensors/SHARD.csv` whose
    status is `ok`; an id that stands twice in the manifest stands once here. The table's other
    rows are `quarantined`, with the reason.

    Raises:
        UserError: a file is not the one that the manifest lists.
    """
    stage = Stage("tensors", arguments)
    manifest = tables.read(stage.input("manifest_csv"), ["id", "path", "shard", "reason"])
    shard = manifest[manifest["shard"] == stage.key].drop_duplicates("id", ignore_index=True)
    side = stage["image.side"]
    read = shard[shard["reason"] == ""]
    numbers = dict(zip(read["path"], read.index, strict=True))
    # Of each row of the table: its place among the pixels as they come, and what else is known.
    places = np.full(len(shard), -1, np.int64)
    found = [("quarantined", reason, 0, 0, "") for reason in shard["reason"]]
    good = 0
    with (
        whole(stage.output("tensors_npy"), stage.output("tensors_csv")) as (
            pixels_part,
            table_part,
        ),
        sources.source(stage["dataset.path"]) as source,
        Progress(f"tensors {stage.key}", len(read), "images") as progress,
    ):
        # The images come in the order of the source, and go to a file as they come: memory stays
        # flat however many there are.
        spool, row = pixels_part.with_suffix(".spool"), (side, side, 3)
        with Growing(spool, np.uint8, row) as out:
            data = _checked(source, numbers, shard["id"])
            work = partial(decode_numbered, side=side, fit=stage["image.fit"])
            for number, result in in_parallel(work, data, partial(weigh, side=side)):
                if isinstance(result, str):
                    found[number] = ("quarantined", result, 0, 0, "")
                else:
                    out.add(result.pixels[None])
                    found[number] = ("ok", "", result.width, result.height, result.phash)
                    places[number], good = good, good + 1
                progress.advance()
        come, places = Stored(spool), places[places >= 0]
        with Growing(pixels_part, np.uint8, row) as out:
            for start in range(0, good, ROWS):
                out.add(come[places[start : start + ROWS]])
        table = pd.DataFrame(found, columns=COLUMNS[1:])
        table.insert(0, "id", shard["id"])
        tables.save(table_part, table)


def _checked(
    source: Source, numbers: dict[str, int], ids: pd.Series
) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each file, found to be those that the manifest lists."""
    left = set(numbers)
    for file in source.files(numbers):
        number = numbers[file.path]
        if file.data is None:
            raise _gone(file.path, file.problem)
        if file.path not in left or files.identity(file.data) != ids[number]:
            raise UserError(
                f"{file.path!r} has changed since the manifest was made. Run the manifest again"
            )
        left.remove(file.path)
        yield number, file.data
    if left:
        raise _gone(min(left), files.MISSING)


def _gone(path: str, problem: str) -> UserError:
    return UserError(f"{path!r} cannot be read any more: {problem}. Run the manifest again")


def decode_numbered(item: tuple[int, bytes], side: int, fit: str) -> tuple[int, Decoded | str]:
    """A file's number, and its image or why it has none; other processes run this."""
    number, data = item
    try:
        return number, decode(data, side, fit)
    except Undecodable as error:
        return number, str(error)


def weigh(item: tuple[int, bytes], side: int) -> int:
    """The bytes that a file and its image take on their way to another process and back."""
    return len(item[1]) + 3 * side * side
