"""Decode and resize the images of a shard; quarantine what cannot be read."""

import io

import numpy as np
import pandas as pd

from graft import sources, tables
from graft.atomic import whole
from graft.decoding import Undecodable, decode
from graft.errors import UserError
from graft.progress import Progress
from graft.stage import Stage

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
    manifest = tables.read(stage.input("manifest_csv"))
    shard = manifest[manifest["shard"] == stage.key].drop_duplicates("id")
    side, rows, good = stage["image.side"], [], 0
    with (
        whole(stage.output("tensors_npy"), stage.output("tensors_csv")) as (
            pixels_part,
            table_part,
        ),
        sources.source(stage["dataset.path"]) as files,
        Progress(f"tensors {stage.key}", len(shard), "images") as progress,
    ):
        # Rows go straight to the file: memory stays flat however many images there are.
        spool = pixels_part.with_suffix(".spool")
        with spool.open("wb") as out:
            for row in shard.itertuples():
                data = _read(files, row.path, row.id)
                try:
                    image = decode(data, side)
                except Undecodable as error:
                    rows.append((row.id, "quarantined", str(error), 0, 0, ""))
                else:
                    out.write(image.pixels.tobytes())
                    rows.append((row.id, "ok", "", image.width, image.height, image.phash))
                    good += 1
                progress.advance()
        _to_npy(spool, pixels_part, (good, side, side, 3))
        tables.save(table_part, pd.DataFrame(rows, columns=COLUMNS))


def _read(files: sources.Source, path: str, id_: str) -> bytes:
    try:
        with files.open(path) as file:
            data = file.read()
    except sources.UNREADABLE as error:
        told = f"{path!r} cannot be read any more: {error}. Run the manifest again"
        raise UserError(told) from None
    if sources.identity(io.BytesIO(data)) != id_:
        raise UserError(f"{path!r} has changed since the manifest was made. Run the manifest again")
    return data


def _to_npy(spool, path, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as out, spool.open("rb") as rows:
        np.lib.format.write_array_header_1_0(out, header)
        while piece := rows.read(1 << 24):
            out.write(piece)
