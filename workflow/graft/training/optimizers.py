"""Optimizers of Keras with one rate for the backbone and another for the head."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.framework import keras


def two_rates(
    settings: Mapping[str, Any], head: Sequence[keras.Variable], steps: int
) -> keras.optimizers.MultiOptimizer:
    """Linear warm-up to the peak, then a cosine to 0 at the last step (Loshchilov & Hutter 2017).

    Weight decay is decoupled, times the rate, a step; biases and normalisation have none.

    Args:
        settings: the parameters `finetune.*` by dotted key.
        head: the head's trainable variables, which have a peak of their own.
        steps: steps an epoch.
    """
    kind = getattr(keras.optimizers, settings["finetune.optimizer"])
    warmup, total = (settings[f"finetune.{name}"] * steps for name in ("warmup", "epochs"))
    peaks = settings["finetune.learning_rate"], settings["finetune.head_learning_rate"]
    decay = settings["finetune.weight_decay"]
    body, top = (kind(_schedule(peak, warmup, total), weight_decay=decay) for peak in peaks)
    for made in (body, top):
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    own = {id(variable) for variable in head}
    return keras.optimizers.MultiOptimizer(lambda variable: top if id(variable) in own else body)


def _schedule(peak: float, warmup: int, steps: int) -> keras.optimizers.schedules.CosineDecay:
    cosine = keras.optimizers.schedules.CosineDecay
    warmup = min(warmup, steps - 1)
    if warmup:
        return cosine(0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup)
    return cosine(peak, steps)
