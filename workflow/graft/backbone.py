"""Build the pretrained network and its inference graph; the only stage that may use the network."""

from graft.atomic import whole
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes `backbone/network.keras`, and the same network as an OpenVINO graph."""
    stage = Stage("backbone", arguments)
    from graft import architectures, models

    model = architectures.backbone(
        stage["backbone.name"],
        stage["image.side"],
        stage["backbone.weights"],
        stage["backbone.pooling"],
        stage["backbone.seed"],
    )
    names = ("backbone_network_keras", "backbone_graph_xml", "backbone_graph_bin")
    with whole(*(stage.output(name) for name in names)) as (network, graph, _):
        models.save(model, network)
        models.save_graph(model, graph)
    print(f"backbone: {model.count_params():,} parameters, {model.output_shape[-1]} features")
