"""What people say of their images and of a network, as values of parameters."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from graft.common.errors import nearest, refuse
from graft.images.suggestions import suggest_near
from graft.network.catalogue import NETWORKS, OWN


class Choice(NamedTuple):
    """A network by what it is good for.

    Attributes:
        name: of the network.
        side: of the images, in pixels.
    """

    name: str
    side: int


# workflow/recipes/photos.yaml has the measurements.
CHOICES = {
    "fast": Choice("MobileNetV2", 160),
    "balanced": Choice("EfficientNetV2B0", 224),
    "best": Choice("EfficientNetV2S", 384),
}


def choose_network(name: str) -> dict[str, Any]:
    """The parameters of a pretrained network, by dotted key.

    Args:
        name: one of `CHOICES`, or a class of `keras.applications`.

    Raises:
        UserError: it is neither.
    """
    pretrained = [known for known in NETWORKS if known not in OWN]
    if name in CHOICES:
        chosen = CHOICES[name]
    elif name in pretrained:
        chosen = Choice(name, NETWORKS[name].imagenet)
    else:
        allowed = f"{', '.join(CHOICES)}, or a class of keras.applications"
        raise refuse("--network", allowed + nearest(name, [*CHOICES, *pretrained]), name)
    return {
        "backbone.name": chosen.name,
        "backbone.weights": "imagenet",
        "image.side": chosen.side,
    }


def place_images(given: str) -> str:
    """The value of `dataset.path` for a path as people type it.

    Args:
        given: a file or folder, from this folder, from the home folder (`~`), or absolute.

    Returns:
        The path from this folder if it is inside, as it then is in every clone; else absolute.

    Raises:
        UserError: there is nothing at this path, or this folder is in it.
    """
    path = Path(os.path.abspath(Path(given).expanduser()))  # noqa: PTH100, links stay as they are
    if not given or not path.exists():
        raise refuse("--images", f"a file or folder that exists{suggest_near(path)}", given)
    here = Path.cwd()
    if here.is_relative_to(path):
        allowed = "a folder of images: the project is in this one, with all its own files"
        raise refuse("--images", allowed, given)
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
