"""What came of the same training with several seeds: `repeats.csv`, a row a seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from graft.common.tables import write_table
from graft.training.measures import measure

_COLUMNS = ["seed", "epochs", "val_loss", "val_accuracy", "accuracy", "log_loss"]


def repeat_row(
    seed: int, history: pd.DataFrame, best: int, probabilities: np.ndarray, labels: np.ndarray
) -> dict[str, float | int]:
    """The row of one seed.

    Args:
        seed: what the training was seeded with.
        history: columns epoch, val_loss and val_accuracy, a row an epoch. It may begin with an
            epoch 0, the model before its training.
        best: the epoch whose weights the model has.
        probabilities: float (n, classes), the model's outputs on the test part.
        labels: int (n,), the true classes there.

    Returns:
        seed; epochs, how many were trained; val_loss (nats) and val_accuracy of the best one;
        accuracy and log_loss (nats) on the test part, as in `metrics.json`.
    """
    chosen = history.set_index("epoch").loc[best]
    found = measure(probabilities, labels)
    return {
        "seed": seed,
        "epochs": int(history["epoch"].max()),
        "val_loss": round(float(chosen["val_loss"]), 6),
        "val_accuracy": round(float(chosen["val_accuracy"]), 6),
        "accuracy": found["accuracy"],
        "log_loss": found["log_loss"],
    }


def write_repeats(path: Path, rows: Sequence[Mapping[str, float | int]]) -> None:
    """Writes `repeats.csv`, the row of the model itself first."""
    write_table(path, pd.DataFrame(rows, columns=_COLUMNS))
