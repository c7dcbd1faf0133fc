"""Single steps of a training, of validation and of prediction, each traced once.

`fit`, `evaluate` and `predict` of Keras make a `tf.data` pipeline for each epoch and each call,
whose end takes up to a second, and hold steps in further functions, which are traced too.
"""

from collections.abc import Callable

import numpy as np

from graft.models.framework import keras, tf
from graft.training.batches import Batch, Batches


class Steps:
    """The steps of a compiled model, with the same results as those of its `fit`.

    Args:
        model: from rows to class probabilities.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model, self._built = model, False
        self._train = _traced(model.train_step)
        self._test = _traced(model.test_step)

    def train(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes a step: the loss and metrics since the last reset."""
        self._build(batch)
        return self._train(batch)

    def test(self, batches: Batches) -> dict[str, float]:
        """The loss and metrics of a part, in its order."""
        self._build(batches[0])
        self._model.reset_metrics()
        for number in range(len(batches)):
            self._test(batches[number])
        return self.results()

    def results(self) -> dict[str, float]:
        """The loss and metrics since the last reset."""
        return {name: float(value) for name, value in self._model.get_metrics_result().items()}

    def _build(self, batch: Batch) -> None:
        """Makes all variables that the model lacks: a function is traced twice if it makes some."""
        if self._built:
            return
        model, self._built = self._model, True
        model.optimizer.build(model.trainable_variables)
        rows, labels, *weights = (array[:1] for array in batch)
        classes = model.output_shape[1]
        outputs = np.full((1, classes), 1 / classes, np.float32)
        model.compute_loss(rows, labels, outputs, *weights)
        model.compute_metrics(rows, labels, outputs, *weights)
        model.reset_metrics()


def predict_rows(model: keras.Model, batches: Batches) -> Callable[[], np.ndarray]:
    """A function that gives the outputs of a model on a part, (n, classes), with its weights then.

    Args:
        model: from rows to class probabilities.
        batches: in the order of the part.
    """
    step = _traced(model.predict_step)
    return lambda: np.concatenate([step(batches[n]).numpy() for n in range(len(batches))])


def _traced(step: Callable) -> Callable[[Batch], dict[str, tf.Tensor]]:
    """A step of Keras as one graph for batches of any length.

    Keras' layers and steps decide nothing by the values of tensors, so TensorFlow need not look
    through their source for that (`autograph`), which takes longer than the tracing.
    """
    functions = {}

    def run(batch: Batch) -> dict[str, tf.Tensor]:
        kinds = tuple((array.shape[1:], array.dtype) for array in batch)
        if kinds not in functions:
            specs = tuple(tf.TensorSpec((None, *shape), dtype) for shape, dtype in kinds)
            functions[kinds] = tf.function(step, [specs], autograph=False, jit_compile=False)
        return functions[kinds](batch)

    return run
