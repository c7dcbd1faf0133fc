"""The tables of a training: a row an epoch, of which one is the best, and a row a tried step."""

import pandas as pd

HISTORY_COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
STEP_COLUMNS = ["step", "val_loss", "val_accuracy", "gain", "standard_error", "role"]
_SIGNS = {"val_loss": -1, "val_accuracy": 1}  # times the value: more is better


def best_epoch(history: pd.DataFrame, monitor: str) -> int:
    """The best epoch, whose weights `fit` keeps; of equal ones the last.

    Args:
        history: columns epoch, val_loss and val_accuracy.
        monitor: the column that decides.
    """
    values = _SIGNS[monitor] * history[monitor]
    return int(history["epoch"][values == values.max()].iloc[-1])
