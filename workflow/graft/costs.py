"""What running a part of a network costs, and whether storing its outputs is worth it.

Costs are counted and no clock is asked: another machine, or a busy one, must come to the same
decision, since the two ways differ in the last bits of what is trained.
"""

import math
from typing import NamedTuple

from graft.framework import keras

# Costs in multiply-adds of Keras' forward pass, by benchmarks/cut.py on two busy cores with
# AVX-512. For cnn, MobileNetV2, InceptionV3 and VGG16 one in OpenVINO cost 0.5 to 1.2, one in
# training 1.3 to 4.2, the start of a graph 1 to 7e11, a byte written 90 to 140, one read 70 to 80.
# The middle will do: a choice between two ways that cost nearly the same matters little.
OPENVINO = 0.75
TRAINED = 3.0
START = 1.5e11
WRITTEN = 140.0
READ = 80.0
WORTH = 0.05  # the fraction of the time that must be saved
LARGEST = 20e9  # bytes that are stored without being asked for by `always`

layers = keras.layers
KERNELS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)


def multiply_adds(model: keras.Model) -> int:
    """How many multiply-adds the kernels of a model do for one image.

    A kernel is used once at each position of its layer's output: a convolution's of shape (height,
    width, channels, filters) at each pixel, a dense one's once a vector.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += multiply_adds(layer)
        elif isinstance(layer, KERNELS):
            kernels = [weight.shape for weight in layer.weights if len(weight.shape) > 1]
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * sum(math.prod(shape) for shape in kernels)
    return total


class Work(NamedTuple):
    """What a training with a frozen part has before it.

    Attributes:
        frozen: multiply-adds of the frozen part, an image.
        tail: of the rest.
        width: bytes of one stored output.
        train: images and views that an epoch trains on.
        valid: images that are judged after it.
        test: images that are judged in the end.
        epochs: at most, of all seeds together.
    """

    frozen: int
    tail: int
    width: int
    train: int
    valid: int
    test: int
    epochs: int

    @property
    def stored(self) -> int:
        """Bytes of all outputs."""
        return self.width * (self.train + self.valid + self.test)

    def saving(self) -> float:
        """The fraction of the time that is saved by storing the outputs; below 0 a loss."""
        seen = self.epochs * (self.train + self.valid)
        tail = self.epochs * (self.train * TRAINED + self.valid) * self.tail
        each_time = seen * self.frozen + tail
        images = self.train + self.valid + self.test
        once = START + images * self.frozen * OPENVINO
        files = self.stored * WRITTEN + seen * self.width * READ
        return 1 - (once + files + tail) / each_time

    def worth(self) -> str | None:
        """Why the outputs are not worth storing, or None where they are."""
        if self.stored > LARGEST:
            return f"its outputs would take {self.stored / 1e9:,.0f} GB"
        if self.saving() < WORTH:
            return f"storing its outputs ({self.stored / 1e6:,.0f} MB) would save little time"
        return None
