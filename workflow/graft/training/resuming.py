"""A training that was killed goes on after its last whole epoch, and ends with the same bytes."""

import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from graft.models.framework import keras, name_device
from graft.training.states import read_state, write_state

# Of the time, for keeping states: a large model on few images would otherwise do little else. What
# is kept changes no result, so it may depend on the clock.
_SHARE = 0.02


class Resuming:
    """Keeps all that decides the rest of a training after its epochs, and restores it.

    `keras.callbacks.BackupAndRestore` restores variables alone, not the best weights so far, so
    that the rest of a training would be another one.

    Layers draw from generators of their own, which are among the variables of the model. The order
    of the batches follows from the epoch alone.

    Args:
        section: `head` or `finetune`, for messages.
        file: the state; one that is there must be of this very training. None keeps nothing.
        model: compiled; it is given the state that is there.

    Attributes:
        rows: the losses and metrics of each epoch so far, also of those before an interruption.
        ended: whether the training had ended before it was interrupted: `rows` are all.
        best_weights: those after the best epoch so far.
    """

    def __init__(self, section: str, file: Path | None, model: keras.Model) -> None:
        self._section, self._file, self._model = section, file, model
        self._cost, self._kept = 0.0, time.monotonic()  # seconds of the last one, and when it was
        self.rows: list[dict[str, float]] = []
        self.ended, self.best_weights = False, list[np.ndarray]()
        state = None if file is None else read_state(file)
        if state is None or state.facts["device"] != name_device():
            return  # the epochs of another device would not be those of this one
        self.rows, self.ended = state.facts["rows"], state.facts["ended"]
        # Keras would make these variables in the first step.
        model.optimizer.build(model.trainable_variables)
        count = len(model.weights)
        for variable, array in zip(self._variables(), state.arrays[:-count], strict=True):
            variable.assign(array)
        self.best_weights = state.arrays[-count:]

    def keep(self, row: dict[str, float], is_best: bool, ended: bool) -> None:
        """Adds an epoch; keeps the state if that is worth its time, and always that of the last.

        Args:
            row: its losses and metrics.
            is_best: whether it is the best one so far.
            ended: whether it is the last.
        """
        self.rows.append(row)
        if is_best:
            self.best_weights = self._model.get_weights()
        self.ended, start = ended, time.monotonic()
        if not self._file or not (ended or self._cost <= _SHARE * (start - self._kept)):
            return
        facts = {"device": name_device(), "rows": self.rows, "ended": ended}
        variables = map(keras.ops.convert_to_numpy, self._variables())
        try:
            write_state(self._file, facts, chain(variables, self.best_weights))
        except OSError as error:
            self._file = None
            said = f"warning: if it is interrupted, it will start anew: {error}"
            print(f"{self._section}: {said}", file=sys.stderr)
        self._kept = time.monotonic()
        self._cost = self._kept - start

    def _variables(self) -> list[Any]:
        """All that training changes: weights, moving statistics, seeds, moments, step counts.

        After the last epoch only the best weights are needed, a quarter of it all.
        """
        model = self._model
        return [] if self.ended else [*model.variables, *model.optimizer.variables]
