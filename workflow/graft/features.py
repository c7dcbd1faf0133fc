"""Run the network once over the images of a shard."""

import json

import numpy as np

from graft.arrays import Growing, Stored
from graft.atomic import whole
from graft.errors import UserError
from graft.progress import Progress
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes `features/SHARD.npy`: float32 (n, d), a row for each row of `tensors/SHARD.npy`.

    Its columns are the features of several depths side by side, as `depths.json` lists them.

    Raises:
        UserError: a feature is not finite: the weights do not fit the network.
    """
    stage = Stage("features", arguments)
    pixels = Stored(stage.input("tensors_npy"))
    from graft.inference import in_batches, run

    if stage["features.runtime"] == "openvino":
        outputs = run(stage.input("backbone_graph_xml"), in_batches(pixels))
    else:
        from graft.depths import Depth, together
        from graft.models import load

        wanted = json.loads(stage.input("backbone_depths_json").read_text(encoding="utf-8"))
        network = load(stage.input("backbone_network_keras"))
        model = together(network, [Depth(**row) for row in wanted])
        outputs = (model.predict_on_batch(batch) for batch in in_batches(pixels))
    with (
        whole(stage.output("features_npy")) as (part,),
        Growing(part, np.float32) as features,
        Progress(f"features {stage.key}", len(pixels), "images") as progress,
    ):
        for output in outputs:
            if not np.isfinite(output).all():
                raise UserError(
                    "some features are not finite numbers: backbone.weights do not fit the network"
                )
            features.add(output)
            progress.advance(len(output))
