"""Optimizers of Keras with one rate for the backbone and another for the head."""

from collections.abc import Sequence

from graft.models.framework import keras


def two_rates(
    name: str,
    peak: float,
    head_peak: float,
    head: Sequence[keras.Variable],
    warmup: int,
    steps: int,
    weight_decay: float,
) -> keras.optimizers.MultiOptimizer:
    """Linear warm-up to the peak, then a cosine to 0 at the last step (Loshchilov & Hutter 2017).

    Args:
        name: a class of `keras.optimizers`.
        peak: the backbone's highest rate.
        head_peak: the head's.
        head: the head's trainable variables.
        warmup: steps of warm-up; 0 for none.
        steps: steps in all.
        weight_decay: decoupled, times the rate, a step; biases and normalisation have none.
    """
    kind = getattr(keras.optimizers, name)
    body, top = (
        kind(_schedule(rate, warmup, steps), weight_decay=weight_decay)
        for rate in (peak, head_peak)
    )
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
