"""A network of `keras.applications` with its ImageNet classifier, as Keras trained it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from graft.backbone.fetched import CLASS_INDEX, fetching, find_published
from graft.backbone.scaling import find_scaling
from graft.common.errors import UserError, refuse
from graft.models.framework import keras
from graft.models.saving import calm
from graft.network.catalogue import NETWORKS
from graft.prediction.answers import stack_batches
from graft.prediction.imagenet import CLASSES, ImageNetClass, read_classes

# Photos at once. The batch is always full, so that an answer does not depend on what else is asked
# for; larger ones gain little on a processor, and make a single photo wait.
_BATCH = 4


def classify_photos(
    name: str, weights: Path | None, photos: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """The answers of a pretrained network.

    It is made for a handful of photos: Keras gives the first answer a second after the network is
    built, where an OpenVINO graph would take five to be made.

    Args:
        name: a class of `keras.applications`.
        weights: a Keras weights file of the network with its classifier; None for those that Keras
            fetches.
        photos: uint8 (side, side, 3) each, of the network's own side; taken as they are needed.

    Yields:
        float32 (CLASSES,) for each photo.

    Raises:
        UserError: the weights do not fit, are no weights, or cannot be fetched, or an answer is not
            finite.
    """
    build = getattr(keras.applications, name)
    side = NETWORKS[name].imagenet
    network = build(weights=None, input_shape=(side, side, 3))
    if weights is None:
        what = f"the ImageNet weights of {name}"
        with fetching(find_published(name, side), what, "name a file with --weights") as place:
            network.load_weights(place)
    else:
        _load(network, name, weights)
    scaling = find_scaling(build, network)
    for batch in stack_batches(photos, _BATCH):
        pixels = np.concatenate([batch, batch[:1].repeat(_BATCH - len(batch), axis=0)])
        answers = network.predict_on_batch(scale_pixels(pixels, *scaling))[: len(batch)]
        if not np.isfinite(answers).all():
            raise UserError("some answers are not finite numbers: the weights are damaged")
        yield from answers


def scale_pixels(
    pixels: np.ndarray, scale: list[float], offset: list[float], reverse: bool
) -> np.ndarray:
    """Pixels as the network wants them: float32 of the same shape (…, 3).

    Args:
        pixels: uint8.
        scale, offset, reverse: from `find_scaling`.
    """
    ordered = pixels[..., ::-1] if reverse else pixels
    return ordered * np.float32(scale) + np.float32(offset)


def _load(network: keras.Model, name: str, weights: Path) -> None:
    try:
        with calm():
            network.load_weights(weights)
    except Exception as error:
        # A file that Keras has not written can make it raise almost anything.
        reason, _, _ = " ".join(str(error).split()).partition(" List of objects")
        allowed = f"a Keras weights file (.h5) of {name} with its classifier of {CLASSES} classes"
        raise refuse("--weights", allowed, f"{weights} ({reason[:300]})") from None


def fetch_classes() -> tuple[ImageNetClass, ...]:
    """The classes in the order of the outputs, from Keras' own index, which it fetches once.

    Raises:
        UserError: the index cannot be fetched.
    """
    file = find_published(CLASS_INDEX)
    with fetching(file, "the names of the ImageNet classes", "name a file with --classes") as place:
        return read_classes(place)
