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
from graft.decoder import reasons
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
    pixels, side = stage.output(f"data/tensors/{stage.key}.npy"), stage["image.side"]
    # The images come in the order of the source, and go to a file as they come: memory stays flat
    # however many there are.
    sources, known = [pixels.with_suffix(".spool")], {}
    if earlier := stage.earlier(f"data/checked/{stage.key}.csv", f"data/tensors/{stage.key}.npy"):
        known = _read_earlier(earlier[0])
        sources.append(earlier[1])
    cells = [_describe(reason) for reason in shard["reason"]]
    # Where each image's pixels are: in which of the sources, and in which row there.
    places = np.full((len(shard), 2), -1)
    readable, is_known = shard["reason"] == "", shard["id"].isin(known)
    for number in np.flatnonzero(readable & is_known):
        places[number], cells[number] = known[shard["id"][number]]
    new = shard[readable & ~is_known]
    with Growing(sources[0], np.uint8, (side, side, 3)) as out:
        for number, result in _decoded(stage, new) if len(new) else ():
            cells[number] = _describe(result)
            if isinstance(result, Decoded):
                places[number] = 0, len(out)
                out.add(result.pixels[None])
    with Growing(pixels, np.uint8, (side, side, 3)) as out:
        good = places[places[:, 0] >= 0]
        copy_rows(out, sources, good[:, 0], good[:, 1])
    sources[0].unlink()
    table = shard[["id"]].join(pd.DataFrame(cells, columns=_COLUMNS))
    write_table(stage.output(f"data/checked/{stage.key}.csv"), table)
    if earlier:
        print(f"tensors {stage.key}: {len(new):,} of {len(shard):,} images, the others as before")


def _describe(result: Decoded | str) -> tuple[str, ...]:
    """The columns of the table for an image, or for the reason why there is none."""
    if isinstance(result, str):
        return "quarantined", result, "0", "0", "", ""
    return "ok", "", str(result.width), str(result.height), result.phash, result.digest


def _read_earlier(checked: Path) -> dict[str, tuple[tuple[int, int], tuple[str, ...]]]:
    """What the last run made of each id: where its pixels are in `sources`, and the columns."""
    table = read_table(checked)
    good = table["status"] == "ok"
    places = [(1, row) if row >= 0 else (-1, -1) for row in good.cumsum().where(good, 0) - 1]
    cells = table[_COLUMNS].itertuples(index=False, name=None)
    return dict(zip(table["id"], zip(places, cells, strict=True), strict=True))


def _decoded(stage: Stage, shard: pd.DataFrame) -> Iterator[tuple[int, Decoded | str]]:
    """The number of each of these files of the shard, and its image or why it has none."""
    numbers = dict(zip(shard["path"], shard.index, strict=True))
    with (
        open_source(stage["dataset.path"]) as source,
        Progress(f"tensors {stage.key}", len(shard), "images") as progress,
    ):
        found = _checked(source, numbers, shard["id"])
        keys = ("image.side", "image.fit", "image.background", "image.white_level")
        for path, result in decode_files(found, *map(stage.__getitem__, keys)):
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
        raise _outdated(min(left), f"cannot be read any more: {reasons.MISSING}")


def _outdated(path: str, what: str) -> UserError:
    return UserError(f"{path!r} {what}. Run the manifest again")
