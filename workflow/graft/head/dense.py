"""Heads with layers of their own, trained by gradient descent in Keras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from graft.common.stage import Stage
from graft.head.construction import dense_head
from graft.models.framework import keras
from graft.models.layers import scale_logits
from graft.models.saving import BuiltModel
from graft.models.stacks import VECTOR_KINDS, read_stack
from graft.parts.rows import Rows
from graft.training.batches import Batches
from graft.training.loop import compile_model, fit
from graft.training.steps import predict_rows

# Of an epoch at least. With few images a step or two would be an epoch, and the training would end
# before it has begun.
_STEPS = 30


@dataclass(frozen=True)
class DenseModel(BuiltModel):
    """A head of Keras, from features to class probabilities.

    Attributes:
        model: from float32 (batch, d) to float32 (batch, classes).
        batch: rows that are answered at once.
    """

    batch: int

    @property
    def parameters(self) -> int:
        """How many there are."""
        return self.model.count_params()

    @property
    def trained(self) -> int:
        """How many of them are trained."""
        return sum(weight.shape.num_elements() for weight in self.model.trainable_weights)

    @property
    def weights(self) -> list[np.ndarray]:
        """All weights, in the order of Keras."""
        return self.model.get_weights()

    def scaled(self, scale: float) -> Self:
        """The same model, its logits multiplied by a factor from now on."""
        scale_logits(self.model, scale)
        return self

    def answer(self, rows: Rows) -> np.ndarray:
        """The probabilities, float32 (n, classes), of features (n, d)."""
        return predict_rows(self.model, Batches(rows, self.batch))()


def train_dense(
    stage: Stage, parts: Mapping[str, Rows], moments: tuple[np.ndarray, np.ndarray], seed: int
) -> tuple[DenseModel, pd.DataFrame]:
    """Trains a head by gradient descent, and stops by the validation part.

    Args:
        stage: the parameters of the head.
        parts: train, with the views of its images, and valid.
        moments: mean and variance, float32 (d,), of the features.
        seed: draws weights and dropout, and shuffles.

    Returns:
        The head, and a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy.

    Raises:
        UserError: the loss is not a finite number.
    """
    keras.utils.set_random_seed(seed)
    train, valid = parts["train"], parts["valid"]
    stack, classes = read_stack(stage["head.stack"], VECTOR_KINDS), len(train.classes)
    model = dense_head(*moments, stack, stage["head.output"], classes)
    optimizer = getattr(keras.optimizers, stage["head.optimizer"])(stage["head.learning_rate"])
    compile_model(model, optimizer, stage["head.label_smoothing"])
    batch, class_weight = stage["head.batch"], stage["head.class_weight"]
    batches = (
        Batches(train, batch, seed, class_weight, _STEPS),
        Batches(valid, batch, class_weight=class_weight),
    )
    history = fit("head", stage, model, *batches, stage.scratch, f"seed-{seed}")
    return DenseModel(model, batch), history
