"""Run the network once over the images of a shard."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from graft.common.arrays import (
    INFERENCE_BATCH,
    Chosen,
    Growing,
    RowSource,
    Stored,
    copy_rows,
    in_batches,
)
from graft.common.environment import allow_gpu
from graft.common.errors import UserError, refuse
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import read_json, read_table

_GPU_BATCH = 256  # images at once: a card takes four times as long for as many batches of 16


def main(stage: Stage) -> None:
    """Writes `features/SHARD.npy`: float32 (n, d), a row for each row of `tensors/SHARD.npy`.

    Its columns are the features of several depths side by side, as `depths.json` lists them.

    Raises:
        UserError: a feature is not finite: the weights do not fit the network; the processor does
            not compute in `features.precision`; there is no graphics card for `features.runtime`.
    """
    checked = f"data/checked/{stage.key}.csv"
    pixels = Stored(stage.input(f"data/tensors/{stage.key}.npy"))
    digests = _read_digests(stage.input(checked))
    features = stage.output(f"data/features/{stage.key}.npy")
    known, sources = dict[str, int](), [features.with_suffix(".spool")]
    if earlier := stage.earlier(checked, f"data/features/{stage.key}.npy"):
        known = {digest: row for row, digest in enumerate(_read_digests(earlier[0]))}
        sources.append(earlier[1])
    # Equal pixels have equal features, whatever is beside them in a batch.
    rows = np.array([known.get(digest, -1) for digest in digests], np.int64)
    new = np.flatnonzero(rows < 0)
    title = f"features {stage.key}"
    with Growing(sources[0], np.float32) as out, Progress(title, len(new), "images") as progress:
        for output in _outputs(stage, Chosen(pixels, new)) if len(new) else ():
            if not np.isfinite(output).all():
                raise UserError(
                    "some features are not finite numbers: backbone.weights do not fit the network"
                )
            out.add(output)
            progress.advance(len(output))
    numbers = (rows >= 0).astype(int)
    rows[new] = np.arange(len(new))
    with Growing(features, np.float32) as out:
        copy_rows(out, sources, numbers, rows)
    sources[0].unlink()
    if earlier:
        print(f"{title}: {len(new):,} of {len(rows):,} images, the others as before")


def _read_digests(checked: Path) -> list[str]:
    """The hash of each row of pixels, by the table of a shard."""
    table = read_table(checked, ["status", "pixels"])
    return table["pixels"][table["status"] == "ok"].tolist()


def _outputs(stage: Stage, pixels: RowSource) -> Iterator[np.ndarray]:
    if stage["features.runtime"] == "openvino":
        from graft.models.inference import run_graph

        graph = stage.input("data/backbone/graph.xml")
        yield from run_graph(graph, pixels, stage["features.precision"])
        return
    if on_card := stage["features.runtime"] == "gpu":
        allow_gpu()
    from graft.models.framework import name_device
    from graft.models.pooling import Depth, together
    from graft.models.saving import load_model

    if on_card and name_device() == "CPU":
        allowed = "openvino or tensorflow here, where TensorFlow finds no graphics card"
        raise refuse("params.yaml: features.runtime", allowed, "gpu")
    depths = read_json(stage.input("data/backbone/depths.json"))["depths"]
    network = load_model(stage.input("data/backbone/network.keras"))
    model = together(network, [Depth(**row) for row in depths])
    for batch in in_batches(pixels, _GPU_BATCH if on_card else INFERENCE_BATCH):
        yield model.predict_on_batch(batch)
