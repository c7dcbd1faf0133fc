"""Weights of networks: fetched by Keras, read from a file, or copied from a model of graft's."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from graft.common.errors import UserError, refuse
from graft.models.framework import keras
from graft.models.pooling import NETWORK
from graft.models.saving import calm, load_model

_WHERE = "params.yaml: backbone.weights"


def fetch_weights(network: keras.Model, name: str, side: int) -> None:
    """Takes the ImageNet weights of a class of `keras.applications`, which Keras fetches once."""
    with fetching(f"the ImageNet weights of {name}", "name a file in backbone.weights"):
        fetched = getattr(keras.applications, name)(
            include_top=False, weights="imagenet", input_shape=(side, side, 3)
        )
    network.set_weights(fetched.get_weights())


def read_weights(network: keras.Model, path: Path) -> None:
    """Takes the weights in a file (`.h5`) of this very network.

    Raises:
        UserError: there is no such file, or it does not fit.
    """
    layers = len(network.layers)
    allowed = f"a file of weights for backbone.name without its classifier ({layers} layers)"
    with _explained(path, allowed), calm():
        network.load_weights(path)


def copy_weights(network: keras.Model, path: Path) -> None:
    """Takes the weights of the layers of the same names from a model that graft made (`.keras`).

    Raises:
        UserError: there is no such file, or its network lacks a layer.
    """
    with _explained(path, "a model with this network in it"):
        source = load_model(path).get_layer("backbone").get_layer(NETWORK)
        for layer in network.layers[1:]:
            layer.set_weights(source.get_layer(layer.name).get_weights())


@contextmanager
def _explained(path: Path, allowed: str) -> Iterator[None]:
    if not path.is_file():
        raise refuse(_WHERE, "a file that exists", str(path))
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise refuse(_WHERE, allowed, f"{path} ({first})") from None


@contextmanager
def fetching(what: str, instead: str) -> Iterator[None]:
    """Around what lets Keras fetch a file: says what to do where it cannot.

    Keras prints its progress on standard output, where the answers of a command belong: here it
    goes to standard error.

    Args:
        what: what the file holds.
        instead: what the user may do instead of putting the file in its place.

    Raises:
        UserError: the file cannot be fetched, is not the right one, or is damaged.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        # Only Keras' own functions know the file: its name is not always that of the URL.
        for frame, _ in traceback.walk_tb(error.__traceback__):
            known = frame.f_locals
            if frame.f_code.co_name == "get_file" and "download_target" in known:
                raise UserError(
                    f"{what} cannot be fetched. Download {known['origin']} where there is a network"
                    f" and put it at {known['download_target']}, or {instead}. Received: {first}"
                ) from None
            if "weights_path" in known:
                raise UserError(
                    f"{what} cannot be read. Delete {known['weights_path']}, so that it is fetched"
                    f" again, or {instead}. Received: {first}"
                ) from None
        raise
