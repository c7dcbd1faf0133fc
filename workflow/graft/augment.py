"""Random changes to training images, by the layers of Keras."""

from collections.abc import Mapping
from typing import Any

from graft.framework import keras


def augmentation(settings: Mapping[str, Any], side: int, seed: int) -> keras.Model | None:
    """The layers that the settings switch on.

    Args:
        settings: the parameters `augment.*` by dotted key; 0 and `none` switch one off.
        side: the side of the images in pixels.
        seed: draws the changes.

    Returns:
        A model from and to float32 (batch, side, side, 3), 0–255, which changes images only where
        it is called with `training=True`; or None where all are off.
    """
    made = keras.layers
    border = {"fill_mode": "nearest", "interpolation": "bilinear"}
    kinds = {
        "flip": lambda mode: made.RandomFlip(mode, seed=seed),
        "rotation": lambda degrees: made.RandomRotation(degrees / 360, seed=seed + 1, **border),
        "shift": lambda part: made.RandomTranslation(part, part, seed=seed + 2, **border),
        "zoom": lambda part: made.RandomZoom(part, seed=seed + 3, **border),
        "brightness": lambda part: made.RandomBrightness(part, seed=seed + 4),
        "contrast": lambda part: made.RandomContrast(part, seed=seed + 5),
    }
    strengths = {name: settings[f"augment.{name}"] for name in kinds}
    used = [kinds[name](value) for name, value in strengths.items() if value not in (0, "none")]
    if not used:
        return None
    inputs = keras.Input((side, side, 3))
    x = inputs
    for layer in used:
        x = layer(x)
    return keras.Model(inputs, x, name="augmentation")
