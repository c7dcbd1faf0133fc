"""Build the pretrained network and its inference graph; only this stage may use the internet."""

from graft.backbone.architectures import build_backbone
from graft.common.stage import Stage
from graft.common.tables import write_json
from graft.models.cuts import find_cuts
from graft.models.framework import keras
from graft.models.pooling import NETWORK, Depth, together
from graft.models.saving import save_graph, save_model
from graft.network.catalogue import look_up

# Layers that change no feature, or only its edges.
_IDLE = (keras.layers.ZeroPadding2D, keras.layers.Dropout, keras.layers.InputLayer)
_MANY = 9  # layers of one resolution, from which on those at its thirds are taken as well


def main(stage: Stage) -> None:
    """Writes `network.keras`, its features of several depths as an OpenVINO graph, and in
    `depths.json` the layers of the network, and which columns are the features of which layer.

    Raises:
        UserError: the weights do not fit or cannot be fetched, or the network has no such layer.
    """
    model = build_backbone(stage)
    prefix = look_up(stage["backbone.name"]).prefix
    depths = find_candidates(model, stage["backbone.pooling"], prefix)
    save_model(model, stage.output("data/backbone/network.keras"))
    save_graph(together(model, depths), stage.output("data/backbone/graph.xml"))
    table = {
        "layers": [layer.name for layer in model.get_layer(NETWORK).layers],
        "depths": [depth._asdict() for depth in depths],
    }
    write_json(stage.output("data/backbone/depths.json"), table)
    print(f"backbone: {model.count_params():,} parameters, {model.output_shape[-1]} features")


def find_candidates(model: keras.Model, pooling: str, prefix: int = 0) -> list[Depth]:
    """Layers of different depth, the network's last one first, then the others from the input on.

    They are the last layers of each resolution by whose output alone the network goes on, and
    those at the thirds of the two lowest resolutions, where most of the layers are.

    Args:
        model: a backbone.
        pooling: of its last layer. Others are pooled in the same way, but never by `flatten`:
            early layers would have a hundred thousand features.
        prefix: of a network of tokens, how many come before those of the patches.
    """
    body = model.get_layer(NETWORK)
    cuts, total = set(find_cuts(body)), len(body.layers)
    stages: dict[int, list[tuple[int, keras.Layer]]] = {}
    for count, layer in enumerate(body.layers, 1):
        if layer.name in cuts and not isinstance(layer, _IDLE):
            stages.setdefault(layer.output.shape[1], []).append((count, layer))
    # Before the class token is there, a layer has no such feature; from then on all have as many.
    groups = list(stages.values())[-1:] if prefix else list(stages.values())
    chosen = [group[-1] for group in groups]
    for group in groups[-2:]:
        if len(group) >= _MANY:
            chosen += [group[len(group) // 3], group[2 * len(group) // 3]]
    other = "avg" if pooling == "flatten" else pooling
    found = [Depth(body.layers[-1].name, pooling, model.output_shape[-1], 0, total, prefix)]
    for count, layer in sorted(chosen):
        if count < total:
            start = found[-1].start + found[-1].width
            width = layer.output.shape[-1] * len(other.split("_"))
            found.append(Depth(layer.name, other, width, start, count, prefix))
    return found
