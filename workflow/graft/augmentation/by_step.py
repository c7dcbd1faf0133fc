"""Augmentation in each epoch, as a function of the step alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from graft.augmentation.random_layers import build_augmentation
from graft.models.framework import keras, tf


class StepAugmentation:
    """Augments images outside the model, so that this can be done before a step asks for them.

    The layers of Keras draw by generators that count: a training in which each step augments one
    batch would find them where `at` puts them. So a training that goes on after an interruption
    draws what it would have drawn, and no thread and no time changes that.

    Args:
        settings: the parameters `augment.*` by dotted key, of which at least one kind is on.
        side: the side of the images in pixels.
    """

    def __init__(self, settings: Mapping[str, Any], side: int) -> None:
        layers = build_augmentation(settings, side)
        pixels = tf.TensorSpec((None, side, side, 3), tf.float32)
        self._run = tf.function(
            lambda images: layers(images, training=True), input_signature=[pixels], autograph=False
        )
        self._states = layers.variables  # of the generators: seed, and how often they have drawn
        start = [keras.ops.convert_to_numpy(state) for state in self._states]
        # Traced here, by the thread that also traces the model.
        self._run(np.zeros((1, side, side, 3), np.float32))
        pairs = zip(self._states, start, strict=True)
        self._draws = [(first, keras.ops.convert_to_numpy(state) - first) for state, first in pairs]

    def at(self, step: int, images: np.ndarray) -> np.ndarray:
        """Augmented images.

        Args:
            step: of the whole training, from 0.
            images: uint8 or float32 (batch, side, side, 3), 0–255.

        Returns:
            float32 (batch, side, side, 3), 0–255.
        """
        for state, (first, each) in zip(self._states, self._draws, strict=True):
            state.assign(first + step * each)
        return self._run(images.astype(np.float32)).numpy()
