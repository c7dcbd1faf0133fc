"""The training loop of a head and of a whole network."""

import math
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from graft.common.atomic import whole
from graft.common.errors import UserError
from graft.common.progress import Progress
from graft.common.tables import write_table
from graft.models.framework import keras
from graft.training.batches import Batch, Batches, made_ahead
from graft.training.histories import HISTORY_COLUMNS, best_epoch
from graft.training.resuming import Resuming
from graft.training.steps import Steps

_LOGS = Path("logs")
_PLAIN = "plain"  # the metric that stands in for the loss where that is smoothed
# Batches that wait for their step: with one more in the making, the steps never wait for a batch
# that took a little longer than the others.
_AHEAD = 3

# What is made of the batches on their way to the steps, by the number of the first one's step.
Preparation = Callable[[Generator[Batch], int], Generator[Batch]]


class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of probabilities with labels that are spread over all classes a little.

    Keras smooths one-hot labels only, which batches would have to carry. Smoothing by a share s
    (Szegedy et al. 2016, arXiv:1512.00567) is (1 - s) of the plain cross-entropy and s of the mean
    over all classes.

    Args:
        share: of each label that is spread, 0 to below 1.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def call(self, labels, probabilities):
        """Labels int (batch,), probabilities float (batch, classes); a loss each (batch,), nats."""
        plain = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        if not self._share:
            return plain
        lowest = keras.backend.epsilon()
        logs = keras.ops.log(keras.ops.clip(probabilities, lowest, 1 - lowest))
        return (1 - self._share) * plain - self._share * keras.ops.mean(logs, axis=-1)


def compile_model(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, label_smoothing: float = 0.0
) -> None:
    """Sets up a model from rows to class probabilities for `fit`."""
    loss = SmoothedCrossentropy(label_smoothing)
    # A smoothed loss punishes certainty also where it is right: models are not compared by it.
    plain = [keras.metrics.SparseCategoricalCrossentropy(_PLAIN)] if label_smoothing else None
    model.compile(optimizer, loss, metrics=["accuracy"], weighted_metrics=plain, jit_compile=False)


def fit(
    section: str,
    settings: Mapping[str, Any],
    model: keras.Model,
    train: Batches,
    valid: Batches,
    scratch: Path | None = None,
    name: str = "training",
    prepare: Preparation | None = None,
) -> pd.DataFrame:
    """Trains a compiled model and leaves it with the weights of its best epoch.

    The best epoch is the one with the lowest validation loss, or the highest validation accuracy;
    of equal ones it is the last. The training ends early after `patience` epochs without a better
    one; `stop_by` may name the other measure for that. Losses are plain cross-entropies, also where
    the training itself has smoothed labels. Both kinds of batches should weigh classes in the same
    way: judged by a plain validation loss, a balanced training would stop where the frequent
    classes are at their best, which is what the weights are there to prevent. Weights change no
    accuracy.

    Args:
        section: the section of the parameters, `head` or `finetune`.
        settings: the parameters by dotted key: the section's epochs, patience, monitor,
            stop_by and learning rates (for the error).
        model: compiled, with the metric `accuracy`.
        train: shuffled training batches, of which none was drawn yet.
        valid: validation batches.
        scratch: a folder of this very computation, which need not be there yet. What an interrupted
            training has left in it is taken up, with the same result to the last bit.
        name: distinguishes the trainings of one stage.
        prepare: changes the training batches in another thread, ahead of the steps.

    Returns:
        A row an epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy.

    Raises:
        UserError: a loss is infinite or not a number.
    """
    epochs, patience = settings[f"{section}.epochs"], settings[f"{section}.patience"]
    monitor, stop_by = (settings[f"{section}.{key}"] for key in ("monitor", "stop_by"))
    stop_by = monitor if stop_by == "monitor" else stop_by
    resuming = Resuming(section, None if scratch is None else scratch / f"{name}.state", model)
    done = len(resuming.rows)
    if resuming.ended:
        print(f"{section}: the training of {name} had ended before the interruption")
        epochs = done
    elif done:
        print(f"{section}: goes on after epoch {done}, where it was interrupted")
    count = len(train)
    batches = train.epochs(done, epochs)
    if prepare is not None:
        batches = prepare(batches, done * count)
    with (
        Progress(section, epochs * count, "steps", done * count) as progress,
        closing(made_ahead(batches, _AHEAD)) as ahead,
    ):
        steps = Steps(model)
        for epoch in range(done + 1, epochs + 1):
            model.reset_metrics()
            for batch in islice(ahead, count):
                _check(section, settings, epoch, "loss", steps.train(batch)["loss"])
                progress.advance()
            row = {"epoch": epoch}
            for prefix, logs in {"": steps.results(), "val_": steps.test(valid)}.items():
                row[f"{prefix}loss"] = logs.get(_PLAIN, logs["loss"])
                row[f"{prefix}accuracy"] = logs["accuracy"]
            # The last step of an epoch can spoil the weights after its own loss was taken.
            _check(section, settings, epoch, "validation loss", row["val_loss"])
            shown = ", ".join(f"{name} {row[name]:.4f}" for name in HISTORY_COLUMNS[1:])
            progress.advance(0, f"epoch {epoch}: {shown}")
            history = pd.DataFrame([*resuming.rows, row])
            best = best_epoch(history, monitor)
            ended = epoch == epochs or epoch - best_epoch(history, stop_by) >= patience
            resuming.keep(row, epoch == best, ended)
            if scratch is not None:  # others can follow the training
                with whole(_LOGS / f"{section}.csv") as (part,):
                    write_table(part, history)
            if ended:
                break
    model.set_weights(resuming.best_weights)
    return pd.DataFrame(resuming.rows, columns=HISTORY_COLUMNS)


def _check(section: str, settings: Mapping[str, Any], epoch: int, name: str, loss: float) -> None:
    """Refuses a training whose loss is infinite or not a number.

    Good epochs before that are no excuse: which one was the last is chance, and the report would
    show an unintended model as the result.
    """
    if not math.isfinite(loss):
        rates = [key for key in settings if re.fullmatch(rf"{section}\.\w*learning_rate", key)]
        received = ", ".join(str(settings[key]) for key in rates)
        raise UserError(
            f"{section}: the {name} is not a finite number in epoch {epoch}:"
            f" lower {' or '.join(rates)}. Received: {received}"
        )
