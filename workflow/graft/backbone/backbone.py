"""Build the pretrained network and its inference graph; only this stage may use the internet."""

from graft.backbone.architectures import build_backbone
from graft.backbone.candidates import find_candidates
from graft.common.stage import Stage
from graft.common.tables import write_json
from graft.models.pooling import NETWORK, together
from graft.models.saving import save_graph, save_model


def main(stage: Stage) -> None:
    """Writes `network.keras`, its features of several depths as an OpenVINO graph, and in
    `depths.json` the layers of the network, and which columns are the features of which layer.

    Raises:
        UserError: the weights do not fit or cannot be fetched.
    """
    model = build_backbone(stage)
    depths = find_candidates(model, stage["backbone.pooling"])
    save_model(model, stage.output("data/backbone/network.keras"))
    save_graph(together(model, depths), stage.output("data/backbone/graph.xml"))
    table = {
        "layers": [layer.name for layer in model.get_layer(NETWORK).layers],
        "depths": [depth._asdict() for depth in depths],
    }
    write_json(stage.output("data/backbone/depths.json"), table)
    print(f"backbone: {model.count_params():,} parameters, {model.output_shape[-1]} features")
