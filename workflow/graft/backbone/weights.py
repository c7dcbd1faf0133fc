"""Weights of networks: fetched by Keras, read from a file, or copied from a model of graft's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graft.backbone.fetched import fetching, find_published, first_line
from graft.common.errors import nearest, refuse
from graft.models.framework import keras
from graft.models.pooling import NETWORK
from graft.models.saving import calm, load_model
from graft.network.catalogue import LAST

_WHERE = "params.yaml: backbone.weights"


def load_weights(network: keras.Model, name: str, weights: str, layer: str) -> keras.Model:
    """Loads the weights of a network, and drops the layers after the last one that is wanted.

    Args:
        network: the whole network; its weights are replaced.
        name: its name in `backbone.name`.
        weights: `none` or `preset`, to keep those that it has; `imagenet`; a weights file of the
            whole network (`.h5`); or a model that graft made (`.keras`), with the wanted layers.
        layer: the last layer that is wanted, or `last`.

    Raises:
        UserError: the weights do not fit, are no weights, or cannot be fetched.
    """
    path = Path(weights)
    if weights == "imagenet":
        file = find_published(name, network.input_shape[1], top=False)
        what = f"the ImageNet weights of {name}"
        with fetching(file, what, "name a file in backbone.weights") as place:
            network.load_weights(place)
    elif path.suffix == ".h5":
        count = len(network.layers)
        allowed = f"a file of weights for backbone.name without its classifier ({count} layers)"
        with _explained(path, allowed), calm():
            network.load_weights(path)
    if layer != LAST:
        names = [own.name for own in network.layers[1:]]
        if layer not in names:  # of some networks they are not known before
            allowed = f"{LAST}, or a layer of {name} ({', '.join(names)}){nearest(layer, names)}"
            raise refuse("params.yaml: backbone.layer", allowed, layer)
        network = keras.Model(network.input, network.get_layer(layer).output, name=NETWORK)
    if path.suffix == ".keras":
        with _explained(path, "a model with this network in it"):
            source = load_model(path).get_layer("backbone").get_layer(NETWORK)
            for own in network.layers[1:]:
                own.set_weights(source.get_layer(own.name).get_weights())
    for own in network.layers:
        # It calculates with a copy of its statistics, which Keras does not renew with the weights.
        if isinstance(own, keras.layers.Normalization):
            own.finalize_state()
    return network


@contextmanager
def _explained(path: Path, allowed: str) -> Iterator[None]:
    if not path.is_file():
        raise refuse(_WHERE, "a file that exists", str(path))
    try:
        yield
    except Exception as error:
        # A file that Keras has not written can make it raise almost anything.
        raise refuse(_WHERE, allowed, f"{path} ({first_line(error)[:300]})") from None
