"""What is said of the head on the network, from which a fine-tuning starts."""

from collections.abc import Mapping
from typing import Any


def describe_start(counts: Mapping[str, int], judged: Mapping[str, float]) -> dict[str, Any]:
    """What `training.json` says of a start, if nothing is trained.

    Args:
        counts: parameters, of the whole model; unfrozen, of the layers that are not frozen; and
            trained.
        judged: val_loss (nats) and val_accuracy.
    """
    names = ("val_loss", "val_accuracy")
    return {
        **counts,
        **{"device": "none", "epochs": 0, "best_epoch": 0, "step": 0.0},
        **{f"{place}{name}": judged[name] for place in ("start_", "") for name in names},
        **{"temperature": 1.0, "uncalibrated_val_loss": judged["val_loss"]},
        **{"chosen": "head", "cut": "none"},
    }
