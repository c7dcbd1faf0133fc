"""What the training of a head and of a whole network share."""

from pathlib import Path

import numpy as np
import pandas as pd

from graft import tables
from graft.framework import keras
from graft.progress import Progress
from graft.rows import Rows

HISTORY = ["loss", "accuracy", "val_loss", "val_accuracy"]


class Batches(keras.utils.PyDataset):
    """Batches of a part, read from the shards as they are needed.

    Args:
        part: the images or features.
        batch: rows a batch; the last may be smaller.
        seed: shuffles anew each epoch; without it the order is that of the split.
    """

    def __init__(self, part: Rows, batch: int, seed: int | None = None) -> None:
        super().__init__()
        self._part, self._batch = part, batch
        self._generator = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(len(part))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._part) // self._batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        return self._part.take(chosen), self._part.labels[chosen]

    def on_epoch_end(self) -> None:
        if self._generator is not None:
            self._order = self._generator.permutation(len(self._part))


class _Told(keras.callbacks.Callback):
    """Tells the progress after every step."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._progress.advance()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        shown = ", ".join(f"{name} {logs[name]:.4f}" for name in HISTORY if name in (logs or {}))
        self._progress.advance(0, f"epoch {epoch + 1}: {shown}")


def fit(
    title: str,
    model: keras.Model,
    train: Batches,
    valid: Batches,
    epochs: int,
    patience: int,
) -> pd.DataFrame:
    """Trains a compiled model and leaves it with the weights of its best epoch.

    The best epoch is the one with the lowest validation loss; `patience` epochs without a better
    one end the training.

    Args:
        title: what is shown beside the progress.
        model: compiled, with the metric `accuracy`.
        train: shuffled training batches.
        valid: validation batches.
        epochs: how many epochs at most.
        patience: how many epochs to wait for a better one.

    Returns:
        A row an epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy.
    """
    with Progress(title, epochs * len(train), "steps") as progress:
        history = model.fit(
            train,
            validation_data=valid,
            epochs=epochs,
            verbose=0,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=patience, mode="min", restore_best_weights=True
                ),
                keras.callbacks.TerminateOnNaN(),
                _Told(progress),
            ],
        ).history
    table = pd.DataFrame({name: history[name] for name in HISTORY})
    table.insert(0, "epoch", range(1, len(table) + 1))
    return table


def write_history(path: Path, history: pd.DataFrame) -> None:
    """Writes `history.csv` to a path that is already a temporary one.

    Six decimals are more than a person compares, and hide most last digits that another processor
    changes.
    """
    tables.save(path, history.round(6))
