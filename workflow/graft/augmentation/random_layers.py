"""Augmentation, random changes of training images, by the layers of Keras."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graft.models.framework import keras

_KINDS = ("flip", "rotation", "shift", "zoom", "brightness", "contrast")


def switched_on(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The kinds of augmentation that are switched on, with their strengths.

    Args:
        settings: the parameters `augment.*` by dotted key; 0 and `none` switch one off.
    """
    strengths = {name: settings[f"augment.{name}"] for name in _KINDS}
    return {name: value for name, value in strengths.items() if value not in (0, "none")}


def build_augmentation(settings: Mapping[str, Any], side: int) -> "keras.Model | None":
    """The layers that the settings switch on.

    Args:
        settings: the parameters `augment.*` by dotted key; `augment.seed` draws them.
        side: the side of the images in pixels.

    Returns:
        A model from and to float32 (batch, side, side, 3), 0–255, which changes images only where
        it is called with `training=True`, each image of a batch in its own way and anew with each
        call; or None, at no cost, where all are off.
    """
    used = switched_on(settings)
    if not used:
        return None
    from graft.models.framework import keras

    made, seed = keras.layers, settings["augment.seed"]
    border = {"fill_mode": "nearest", "interpolation": "bilinear"}
    kinds = {
        "rotation": lambda degrees: made.RandomRotation(degrees / 360, seed=seed + 1, **border),
        "shift": lambda part: made.RandomTranslation(part, part, seed=seed + 2, **border),
        "zoom": lambda part: made.RandomZoom(part, seed=seed + 3, **border),
        "brightness": lambda part: made.RandomBrightness(part, seed=seed + 4),
        "contrast": lambda part: made.RandomContrast(part, seed=seed + 5),
    }
    # One layer a way: a single layer of Keras for both would flip both ways at once, or not at all.
    ways = used.pop("flip").split("_and_") if "flip" in used else []
    order = [made.RandomFlip(way, seed=seed + 6 + number) for number, way in enumerate(ways)]
    order += [kinds[name](strength) for name, strength in used.items()]
    return keras.Sequential([keras.Input((side, side, 3)), *order], name="augmentation")
