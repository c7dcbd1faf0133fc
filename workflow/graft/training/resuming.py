"""A training that was killed goes on after its last whole epoch, and ends with the same bytes."""

import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

from graft.models.framework import keras, name_device
from graft.training.states import read_state, write_state

# Of the time, for keeping states: a large model on few images would otherwise do little else. What
# is kept changes no result, so it may depend on the clock.
_SHARE = 0.02


class Resuming(keras.callbacks.Callback):
    """Keeps all that decides the rest of a training after its epochs, and restores it.

    `keras.callbacks.BackupAndRestore` restores variables alone, not what `EarlyStopping` has seen,
    so that the rest of a training would be another one.

    Layers draw from generators of their own, which are among the variables of the model. The order
    of the batches follows from the epoch alone.

    Args:
        section: `head` or `finetune`, for messages.
        file: the state; one that is there must be of this very training. None keeps nothing.
        best: keeps the best weights; it must come before this one in the list of callbacks.
        epochs: how many there are at most.

    Attributes:
        rows: the losses and metrics of each epoch so far, also of those before an interruption.
        ended: whether the training had ended before it was interrupted: `rows` are all.
    """

    def __init__(
        self, section: str, file: Path | None, best: keras.callbacks.EarlyStopping, epochs: int
    ) -> None:
        super().__init__()
        self._section, self._file, self._best = section, file, best
        self._epochs = epochs
        self._cost, self._kept = 0.0, time.monotonic()  # seconds of the last one, and when it was
        self._found = None if file is None else read_state(file)
        if self._found and self._found.facts["device"] != name_device():
            self._found = None  # its epochs would not be those of this device
        facts = self._found.facts if self._found else {"rows": [], "ended": False}
        self.rows: list[dict[str, float]] = facts["rows"]
        self.ended: bool = facts["ended"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Restores the state, once Keras has started all callbacks and counts from new."""
        if self._found is None:
            return
        (facts, arrays), self._found = self._found, None
        # Keras would make these variables in the first step.
        self.model.optimizer.build(self.model.trainable_variables)
        count = len(self.model.weights)
        variables = [] if self.ended else self._variables()
        for variable, array in zip(variables, arrays[:-count], strict=True):
            variable.assign(array)
        self._best.best_weights = arrays[-count:]
        for name, value in facts["best"].items():
            setattr(self._best, name, value)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Keeps the state if that is worth its time, and always that of the last epoch."""
        self.rows.append(dict(logs))
        self.ended = self.model.stop_training or epoch + 1 == self._epochs
        start = time.monotonic()
        if self._file and (self.ended or self._cost <= _SHARE * (start - self._kept)):
            self._keep(self._file)
            self._kept = time.monotonic()
            self._cost = self._kept - start

    def _keep(self, file: Path) -> None:
        facts = {
            "device": name_device(),
            "rows": self.rows,
            "ended": self.ended,
            "best": {name: getattr(self._best, name) for name in ("best", "best_epoch", "wait")},
        }
        # After the last epoch only the best weights are needed, a quarter of it all.
        variables, to_numpy = [] if self.ended else self._variables(), keras.ops.convert_to_numpy
        try:
            write_state(file, facts, chain(map(to_numpy, variables), self._best.best_weights))
        except OSError as error:
            self._file = None
            print(
                f"{self._section}: warning: if it is interrupted, it will start anew: {error}",
                file=sys.stderr,
            )

    def _variables(self) -> list[Any]:
        """All that training changes: weights, moving statistics, seeds, moments, step counts."""
        return [*self.model.variables, *self.model.optimizer.variables]
