"""Build the pretrained network and its inference graph; the only stage that may use the network."""

import json

from graft import stacks
from graft.atomic import whole
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes `backbone/network.keras`, its features of several depths as an OpenVINO graph, and
    which columns of them are whose (`depths.json`).

    Raises:
        UserError: the weights do not fit or cannot be fetched.
    """
    stage = Stage("backbone", arguments)
    from graft import architectures, depths, models

    model = architectures.backbone(
        stage["backbone.name"],
        stage["image.side"],
        stage["backbone.weights"],
        stage["backbone.pooling"],
        stage["backbone.seed"],
        stage["backbone.layer"],
        stacks.read(stage["backbone.stack"], stacks.IMAGES),
        stage["backbone.initializer"],
    )
    found = depths.depths(model, stage["backbone.pooling"])
    names = (
        "backbone_network_keras",
        "backbone_graph_xml",
        "backbone_graph_bin",
        "backbone_depths_json",
    )
    with whole(*(stage.output(name) for name in names)) as (network, graph, _, table):
        models.save(model, network)
        models.save_graph(depths.together(model, found), graph)
        rows = [depth._asdict() for depth in found]
        table.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"backbone: {model.count_params():,} parameters, {model.output_shape[-1]} features")
