"""Run the network once over the images of a shard."""

from collections.abc import Iterator

import numpy as np

from graft.common.arrays import Growing, RowSource, Stored, in_batches
from graft.common.errors import UserError
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import read_json


def main(stage: Stage) -> None:
    """Writes `features/SHARD.npy`: float32 (n, d), a row for each row of `tensors/SHARD.npy`.

    Its columns are the features of several depths side by side, as `depths.json` lists them.

    Raises:
        UserError: a feature is not finite: the weights do not fit the network; the processor does
            not compute in `features.precision`.
    """
    pixels = Stored(stage.input(f"data/tensors/{stage.key}.npy"))
    with (
        Growing(stage.output(f"data/features/{stage.key}.npy"), np.float32) as features,
        Progress(f"features {stage.key}", len(pixels), "images") as progress,
    ):
        for output in _outputs(stage, pixels):
            if not np.isfinite(output).all():
                raise UserError(
                    "some features are not finite numbers: backbone.weights do not fit the network"
                )
            features.add(output)
            progress.advance(len(output))


def _outputs(stage: Stage, pixels: RowSource) -> Iterator[np.ndarray]:
    if stage["features.runtime"] == "openvino":
        from graft.models.inference import run_graph

        graph = stage.input("data/backbone/graph.xml")
        yield from run_graph(graph, pixels, stage["features.precision"])
        return
    from graft.models.pooling import Depth, together
    from graft.models.saving import load_model

    depths = read_json(stage.input("data/backbone/depths.json"))["depths"]
    network = load_model(stage.input("data/backbone/network.keras"))
    model = together(network, [Depth(**row) for row in depths])
    for batch in in_batches(pixels):
        yield model.predict_on_batch(batch)
