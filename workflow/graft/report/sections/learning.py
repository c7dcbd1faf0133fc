"""How did training go: the curves, which epoch was kept, and the learning rates."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from graft.report.charts import Chart, padded_ends
from graft.report.pictures import smooth
from graft.report.reading import Tested
from graft.report.wording import say_sentence


def summarise_learning(tested: Tested, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the section shows beside `summarise_transfer`.

    Args:
        tested: both models.
        parameters: of the build, by dotted key.

    Returns:
        models: head and fine-tuned model; curves: by model the charts of `chart_history`, none
        where there are no epochs to follow; trained: by model, how it was trained in a sentence;
        rates: by model its learning rates in a sentence, empty where there are none; smoothing; and
        chosen, the key of the chosen model.
    """
    weight = parameters["report.smoothing"]
    models = tested.all_models
    return {
        "models": models,
        "curves": {
            m.key: chart_history(m.history, m.training["best_epoch"], weight)
            for m in models
            if len(m.history) > 1
        },
        "trained": {
            m.key: say_sentence("training", training=m.training, monitor=m.monitor) for m in models
        },
        "rates": {m.key: say_rates(m.key, m.training, parameters) for m in models},
        "smoothing": weight,
        "chosen": tested.chosen.key,
    }


def chart_history(history: pd.DataFrame, best: int | None, weight: float) -> list[Chart]:
    """The accuracy and the loss by epoch, each as measured and smoothed.

    Args:
        history: float columns epoch, loss, accuracy, val_loss and val_accuracy; a row an epoch.
        best: the epoch that was kept.
        weight: of `smooth`.
    """
    epochs = history["epoch"].to_numpy()
    charts = []
    for measure, most in (("accuracy", 1.0), ("loss", math.inf)):
        own = {"train": history[measure], "valid": history[f"val_{measure}"]}
        values = [v for column in own.values() for v in column]
        shares = "y" if measure == "accuracy" else ""
        ends = padded_ends(values, 0, most)
        chart = Chart("epoch", measure, (epochs[0], epochs[-1]), ends, shares, whole=True)
        for name, column in own.items():
            chart.line(epochs, column, f"{name} plain")
            chart.line(epochs, smooth(column.to_numpy(), weight), f"{name} smoothed")
        for row in (epochs == best).nonzero()[0]:
            if math.isfinite(own["valid"].iloc[row]):
                chart.dot(epochs[row], own["valid"].iloc[row], "kept")
        charts.append(chart)
    return charts


def say_rates(key: str, training: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """The learning rates of a model in a sentence; empty where nothing was trained by steps.

    Args:
        key: `head` or `finetuned`.
        training: as `training.json` has it.
        parameters: of the build, by dotted key.
    """
    return say_sentence("rates", key=key, training=training, parameters=parameters)
