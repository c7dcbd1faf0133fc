"""The pictures of the report: training curves and confusion matrices, in one style.

The same values give the same bytes wherever they are drawn: nothing is taken from the reader's
matplotlibrc, from the clock or from a display. Only characters that DejaVu Sans lacks, which comes
with matplotlib, are drawn with what the machine has installed.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rcParams, style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from graft.report import lettering
from graft.report.charts import padded_ends
from graft.report.confusion import tint_cells
from graft.report.wording import text_columns

# Okabe and Ito's blue and vermilion, which every kind of colour vision tells apart.
_TRAINING = _RIGHT = "#0072B2"
_VALIDATION = _WRONG = "#D55E00"
# Name, colour and width of both curves in a panel. Where they are equal, both are seen.
_CURVES = (("training", _TRAINING, 2.4), ("validation", _VALIDATION, 1.7))
_INK, _FAINT, _EMPTY = "#20262e", "#6b7480", "#f4f5f7"
_LABEL_COLUMNS = 26  # of a class name; a longer one is shortened
_WHOLE = {"clip_on": False}  # a curve at the edge of a panel
_MARGINS = {"right": 0.97, "bottom": 0.105, "top": 0.84, "hspace": 0.14}
_STYLE = Path(__file__).with_suffix(".mplstyle")


def smooth(values: Sequence[float], weight: float) -> np.ndarray:
    """Exponential smoothing: s ← weight · s + (1 - weight) · x, from the first x that is finite on.

    Args:
        values: float (n,).
        weight: what stays of the past, from 0 (nothing is smoothed) to below 1.

    Returns:
        float64 (n,). From the first value after that which is not finite on, none is.
    """
    smoothed = np.array(values, dtype=np.float64)
    rest = smoothed[int(np.isfinite(smoothed).argmax()) if len(smoothed) else 0 :]
    rest[:] = [*accumulate(rest, lambda past, x: weight * past + (1 - weight) * x)]
    return smoothed


def draw_curves(
    path: Path, history: pd.DataFrame, heading: str, best: int | None, weight: float | None
) -> None:
    """Draws accuracy and loss by epoch for training and validation, the best epoch marked.

    Args:
        path: the .png to write; 900 × 870 pixels.
        history: float columns epoch, loss, accuracy (0 to 1), val_loss and val_accuracy; a row an
            epoch, one or more, in order. Epochs are counted from 1; an epoch 0 is the model before
            its training, which has no training loss. Values that are not finite leave a gap.
        heading: what the model is called.
        best: the epoch that was kept; none is marked where it has no row.
        weight: of `smooth`; the measured curves are then drawn faintly behind. None: not smoothed.
    """
    epochs = history["epoch"].to_numpy()
    with _style([heading]):
        figure = Figure(figsize=(6, 5.8), dpi=rcParams["savefig.dpi"])
        above, below = figure.subplots(2, 1, sharex=True, gridspec_kw=_MARGINS)
        _draw_panel(above, history, "accuracy", best, weight)
        _draw_panel(below, history, "loss", best, weight)
        above.yaxis.set_major_formatter(PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%"))
        below.set_xlabel("epoch")
        below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        below.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        kind = "as measured" if weight is None else f"smoothed by {weight:g}; faint: as measured"
        _title(above, heading, f"accuracy and loss by epoch, {kind}", 29)
        above.legend(bbox_to_anchor=(0, 1.03), ncols=3)
        _make_room((above.yaxis, below.yaxis))
        _save(figure, path)


def _make_room(axes: Sequence[Axis]) -> None:
    """Moves panels to the right by what the numbers beside them take.

    A layout engine would draw all of the figure once more, to measure it.
    """
    figure = axes[0].get_figure()
    renderer = FigureCanvasAgg(figure).get_renderer()
    taken = max(axis.axes.bbox.x0 - axis.get_tightbbox(renderer).x0 for axis in axes)
    figure.subplots_adjust(left=taken / figure.bbox.width + 0.02)


def _draw_panel(
    axes: Axes, history: pd.DataFrame, measure: str, best: int | None, weight: float | None
) -> None:
    epochs = history["epoch"].to_numpy()
    curves = shown = [history[measure].to_numpy(), history[f"val_{measure}"].to_numpy()]
    axes.set_ylabel(measure)
    axes.set_ylim(*padded_ends(np.concatenate(curves), 0, 1 if measure == "accuracy" else math.inf))
    axes.grid(axis="y")
    if weight is not None:
        shown = [smooth(values, weight) for values in curves]
        for values, (_, color, _) in zip(curves, _CURVES, strict=True):
            axes.plot(epochs, values, color=color, **_WHOLE, linewidth=1, alpha=0.35)
    for values, (name, color, width) in zip(shown, _CURVES, strict=True):
        # Of one epoch there is no line to see, and of few the points are worth seeing.
        points = {"marker": "o", "markersize": 2.2 * width} if len(epochs) <= 15 else {}
        axes.plot(epochs, values, color=color, label=name, **_WHOLE, linewidth=width, **points)
    for row in np.flatnonzero(epochs == best):
        dashes = {"linewidth": 1, "linestyle": (0, (4, 3))}
        axes.axvline(best, color=_FAINT, **dashes, zorder=1)
        # The ring says which curve chose the epoch.
        ring = {"marker": "o", "markersize": 9, "markeredgewidth": 1.6, "markerfacecolor": "white"}
        label = f"kept: epoch {best}" if best else "kept: the start"
        axes.plot(best, shown[1][row], color=_VALIDATION, label=label, **_WHOLE, **dashes, **ring)


def draw_confusion(
    path: Path, counts: np.ndarray, classes: Sequence[str], heading: str, subtitle: str
) -> None:
    """Draws a confusion matrix: counts in the cells, coloured by their share of the true class.

    The picture grows with the classes, so that counts and names stay legible; from about 300
    classes on the cells have no counts, and only some classes have their names.

    Args:
        path: the .png to write.
        counts: int (n, n); rows are true classes, columns predicted ones.
        classes: n names, in the order of `counts`.
        heading: what the model is called.
        subtitle: the line below the heading.
    """
    n = len(classes)
    digits = len(str(counts.max(initial=0)))
    # In inches: half an inch a class up to ten, then less, but room for a count of 5.5 points.
    side = max(4, 0.5 * min(n, 10) + 0.12 * max(0, n - 10), n * (5.5 * 0.64 * digits / 0.9) / 72)
    # Without counts, more pixels would show no more, and drawing them takes much memory.
    side = side if side <= 30 else 16
    cell = side * 72 / n  # points
    labels = lettering.drawable_labels(classes, _LABEL_COLUMNS)
    with _style(labels):
        figure = Figure(figsize=(side, side), dpi=rcParams["savefig.dpi"])
        axes = figure.add_axes((0, 0, 1, 1))
        colors = _tint(counts)
        axes.imshow(colors, interpolation="nearest", aspect="auto")
        axes.spines[:].set_visible(False)
        if cell >= 7:
            grid = {"color": "white", "linewidth": 1.2 if n <= 40 else 0.5}
            axes.hlines(np.arange(1, n) - 0.5, -0.5, n - 0.5, **grid)
            axes.vlines(np.arange(1, n) - 0.5, -0.5, n - 0.5, **grid)
            _write_counts(axes, counts, colors, min(13, 0.42 * cell, 0.9 * cell / (0.64 * digits)))
        _label(axes, labels, cell)
        legend = "blue: right, orange: wrong; darker: a larger share of the row"
        _title(axes, heading, f"{subtitle}\n{legend}", 8)
        # Around all beside the cells: `tight` would draw these once more, to measure them.
        box = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
        _save(figure, path, bbox_inches=box.padded(0.2))


def _tint(counts: np.ndarray) -> np.ndarray:
    """Colours, float (n, n, 3): blue on the diagonal, else orange; darker by share of the row."""
    hue = np.where(np.eye(len(counts), dtype=bool)[..., None], to_rgb(_RIGHT), to_rgb(_WRONG))
    empty = np.array(to_rgb(_EMPTY))
    return empty + (hue - empty) * tint_cells(counts)[..., None]


def _write_counts(axes: Axes, counts: np.ndarray, colors: np.ndarray, size: float) -> None:
    # Relative luminance as WCAG has it, with its curve as a plain power.
    luminance = colors**2.2 @ (0.2126, 0.7152, 0.0722)
    for row, column in np.argwhere(counts):
        color = "white" if luminance[row, column] < 0.28 else _INK
        count = str(counts[row, column])
        look = {"ha": "center", "va": "center_baseline", "size": size, "color": color}
        axes.text(column, row, count, **look, in_layout=False)


def _label(axes: Axes, labels: Sequence[str], cell: float) -> None:
    """Writes as many names of classes at the axes as there is room for; a cell in points."""
    n, size = len(labels), min(10, max(5.5, 0.68 * cell))
    labelled = range(0, n, math.ceil(1.25 * size / cell))
    names = [labels[i] for i in labelled]
    turned = {}
    if 0.64 * size * (max(map(text_columns, names)) + 1) > cell:
        angle, va = (45, "top") if n <= 16 else (90, "center")
        turned = {"rotation": angle, "rotation_mode": "anchor", "ha": "right", "va": va}
    axes.set_xticks(labelled, names, fontsize=size, **turned)
    axes.set_yticks(labelled, names, fontsize=size)
    axes.tick_params(length=0 if n <= 40 else 2, pad=5 if n <= 40 else 3)
    axes.set_xlabel("predicted class", labelpad=8, fontsize=11)
    axes.set_ylabel("true class", labelpad=8, fontsize=11)


def _title(axes: Axes, heading: str, subtitle: str, height: float) -> None:
    """Lines above the axes' left end, the lowest `height` points above the top."""
    over = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    lines = 1.35 * 9.5 * (subtitle.count("\n") + 1)
    for text, above, look in (
        (heading, height + lines + 3, {"size": 13, "weight": "bold"}),
        (subtitle, height, {"size": 9.5, "color": "#4a525c", "linespacing": 1.35}),
    ):
        axes.annotate(text, (0, 1), (0, above), **over, **look, family=lettering.FONT)


def _style(texts: Iterable[str]) -> AbstractContextManager[None]:
    """Sets the style, with fonts for `texts`."""
    families = list(lettering.font_families(texts))
    return style.context([_STYLE, {"font.family": families}], after_reset=True)


def _save(figure: Figure, path: Path, **options: object) -> None:
    # Matplotlib would sign the picture with its version.
    figure.savefig(path, format="png", metadata={"Software": None}, **options)
