"""AdamW with one rate for the backbone and another for the head."""

from collections.abc import Sequence

from graft.framework import keras


class TwoRates(keras.optimizers.AdamW):
    """AdamW that multiplies the rate of some variables.

    Keras has one rate a model. Scaling gradients instead would do nothing: Adam divides by them.

    Args:
        faster: the variables whose rate is multiplied.
        factor: by how much.
        **settings: those of `keras.optimizers.AdamW`.
    """

    def __init__(self, faster: Sequence[keras.Variable], factor: float, **settings) -> None:
        super().__init__(**settings)
        # Inside a step Keras hands on backend variables; only its own key finds them again.
        self._faster, self._factor = {self._var_key(variable) for variable in faster}, factor

    def update_step(self, gradient, variable, learning_rate) -> None:
        if self._var_key(variable) in self._faster:
            learning_rate = learning_rate * self._factor
        super().update_step(gradient, variable, learning_rate)


def optimizer(
    peak: float,
    head_peak: float,
    head: Sequence[keras.Variable],
    warmup: int,
    steps: int,
    weight_decay: float,
) -> TwoRates:
    """Linear warm-up to the peak, then a cosine to 0 at the last step (Loshchilov & Hutter 2017).

    Args:
        peak: the backbone's highest rate.
        head_peak: the head's.
        head: the head's trainable variables.
        warmup: steps of warm-up; 0 for none.
        steps: steps in all.
        weight_decay: decoupled, times the rate, a step; biases and normalisation have none.
    """
    warmup = min(warmup, steps - 1)
    cosine = keras.optimizers.schedules.CosineDecay
    schedule = (
        cosine(0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup)
        if warmup
        else cosine(peak, steps)
    )
    made = TwoRates(head, head_peak / peak, learning_rate=schedule, weight_decay=weight_decay)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made
