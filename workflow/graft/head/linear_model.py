"""A linear model over standardised features: its answers and its files, without Keras."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from graft.common.arrays import RowSource, in_batches
from graft.models.keras_files import write_linear

_ROWS = 1024  # at once


@dataclass(frozen=True)
class LinearModel:
    """A head from features to class probabilities, softmax(kernel · standardised features + bias).

    Attributes:
        mean: float32 (d,), which is subtracted from features.
        variance: float32 (d,), by whose root they are divided.
        kernel: float32 (d, classes).
        bias: float32 (classes,).
        name: of the model.
        inputs: the name of its input.
    """

    mean: np.ndarray
    variance: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    name: str = "head"
    inputs: str = "features"

    @property
    def parameters(self) -> int:
        """How many there are."""
        return self.kernel.size + self.bias.size

    @property
    def trained(self) -> int:
        """How many of them are trained: all."""
        return self.parameters

    @property
    def weights(self) -> list[np.ndarray]:
        """Kernel and bias."""
        return [self.kernel, self.bias]

    def scaled(self, scale: float) -> Self:
        """The same model with its logits multiplied by a factor."""
        kernel, bias = (array * np.float32(scale) for array in (self.kernel, self.bias))
        return replace(self, kernel=kernel, bias=bias)

    def answer(self, rows: RowSource) -> np.ndarray:
        """The probabilities, float32 (n, classes), of features (n, d).

        On one thread: another number would divide sums in another way and change the last bits.
        """
        deviation, kernel = np.sqrt(self.variance.astype(float)), self.kernel.astype(float)
        found = [np.empty((0, len(self.bias)), np.float32)]
        with threadpool_limits(1):
            for some in in_batches(rows, _ROWS):
                logits = ((some - self.mean.astype(float)) / deviation) @ kernel + self.bias
                found.append(softmax(logits, axis=1).astype(np.float32))
        return np.concatenate(found)

    def save(self, path: Path) -> None:
        """Saves it as `.keras`, of layers of Keras."""
        names = self.name, self.inputs, "standardise", "probabilities"
        write_linear(path, names, (self.mean, self.variance, *self.weights))

    def save_graph(self, path: Path) -> None:
        """Saves it as an OpenVINO graph in float32: `.xml`, with its weights beside it."""
        import openvino as ov
        from openvino import opset16 as ops

        def constant(values: np.ndarray, name: str):
            return ops.constant(values.astype(np.float32), name=f"{self.name}/{name}")

        factor = 1 / np.sqrt(self.variance.astype(float))
        features = ops.parameter([-1, len(self.mean)], np.float32, name=self.inputs)
        features.output(0).set_names({self.inputs})
        x = ops.multiply(features, constant(factor[None], "factor"), name=f"{self.name}/scaled")
        moved = constant((-self.mean * factor)[None], "moved")
        x = ops.add(x, moved, name=f"{self.name}/standardise")
        kernel = constant(self.kernel.T, "kernel")
        x = ops.matmul(x, kernel, False, True, name=f"{self.name}/products")
        x = ops.add(x, constant(self.bias[None], "bias"), name=f"{self.name}/logits")
        x = ops.softmax(x, axis=-1, name=f"{self.name}/probabilities")
        x.output(0).set_names({"probabilities"})
        result = ops.result(x, name="probabilities")
        ov.serialize(ov.Model([result], [features], self.name), path)
