"""How did training go: the curves, and which epoch was kept."""

import math

from graft.report.charts import Chart, padded_ends
from graft.report.pictures import smooth
from graft.report.reading import ReportedModel


def chart_history(model: ReportedModel, weight: float) -> list[Chart]:
    """The accuracy and the loss by epoch, each as measured and smoothed, and the kept epoch.

    Args:
        model: what was trained.
        weight: of `smooth`.

    Returns:
        Two charts; none where there are no epochs to follow.
    """
    history = model.history
    if len(history) < 2:
        return []
    epochs = history["epoch"].to_numpy()
    charts = []
    for measure, most in (("accuracy", 1.0), ("loss", math.inf)):
        train, valid = history[measure].to_numpy(), history[f"val_{measure}"].to_numpy()
        ends = padded_ends([*train, *valid], 0, most)
        shares = "y" if measure == "accuracy" else ""
        chart = Chart("epoch", measure, (epochs[0], epochs[-1]), ends, shares, whole=True)
        for name, values in (("train", train), ("valid", valid)):
            chart.line(epochs, values, f"{name} plain")
            chart.line(epochs, smooth(values, weight), f"{name} smoothed")
        for epoch, value in zip(epochs, valid, strict=True):
            if epoch == model.training["best_epoch"] and math.isfinite(value):
                chart.dot(epoch, value, "kept")
        charts.append(chart)
    return charts
