"""Draws the last run: when each stage ran, and how many cores were in use.

    uv run python workflow/scripts/timeline.py docs/run.png

Run it in the project's folder after a run. `logs/STAGE.tsv` has the seconds that a stage took, and
those of processors; it is written at the end of the stage. The logs of Snakemake in
`.snakemake/log` say when its runs began and ended, and when it started each stage: from then on a
stage may wait until the fork server has imported TensorFlow, or a cluster has a node.
"""

import csv
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from graft.common.atomic import whole
from graft.common.errors import UserError, refuse
from graft.report import lettering, pictures
from graft.report.charts import ticks
from graft.report.wording import NO_BREAK, counted

LOGS, ENGINE_LOGS = Path("logs"), Path(".snakemake/log")
ENDS = ".snakemake.log"
NAMED = "%Y-%m-%dT%H%M%S.%f"  # what Snakemake calls its logs, in local time
# The head of a job in them, with the date, to the second, and the log of its stage.
JOB = re.compile(r"^\[(.{24})\]\n\w*rule .+:\n(?:    .*\n)*?    log: .*?([^/\n]+)\.log$", re.M)
DATED = "%a %b %d %H:%M:%S %Y"
COLUMNS = ("s", "cpu_time")  # of logs/STAGE.tsv
IDLE = "no stage"  # the row of times in which none runs
STYLE = Path(pictures.__file__).with_suffix(".mplstyle")
LONGEST = 28  # letters of the name of a stage
BAR, WAIT, AREA, GREY, INK = "#0072B2", "#9ecae8", "#D55E00", "#b6bdc6", "#20262e"
LEGEND = "blue: the stage works; pale: it waits for imports, or for a node; grey: no stage runs"


@dataclass(frozen=True)
class Bar:
    """A stage in a run; times in seconds since 1970.

    Attributes:
        asked: when its engine started it.
        start: when it began to work.
        cpu: what it took, in seconds of processors.
    """

    address: str
    asked: float
    start: float
    end: float
    cpu: float


@dataclass(frozen=True)
class Span:
    """A run; times in seconds since 1970.

    Attributes:
        cores: those that Snakemake was given; None where it does not say.
        jobs: by stage, when Snakemake started it, at the latest.
    """

    start: float
    end: float
    cores: int | None
    jobs: Mapping[str, float]


def read_bars(folder: Path) -> list[Bar]:
    """Each stage when it last ran, by its start.

    Args:
        folder: with STAGE.tsv of each.

    Raises:
        UserError: there is none, or one is not as graft writes it.
    """
    bars = []
    for path in folder.glob("*.tsv"):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                (row,) = csv.DictReader(file, delimiter="\t")
            seconds, cpu = (float(row[column]) for column in COLUMNS)
            if not (0 <= seconds < math.inf and 0 <= cpu < math.inf):
                raise ValueError(f"{seconds} s, {cpu} s of processors")
        except (OSError, ValueError, KeyError, TypeError) as error:
            allowed = f"one row of seconds with the columns {' and '.join(COLUMNS)}"
            raise refuse(str(path), allowed, str(error)) from None
        end = path.stat().st_mtime
        bars.append(Bar(path.stem, end - seconds, end - seconds, end, cpu))
    if not bars:
        allowed = f"run where a run has left its logs, {LOGS}/STAGE.tsv"
        raise refuse("timeline.py", allowed, f"no such file in {Path.cwd()}")
    return sorted(bars, key=lambda bar: (bar.start, bar.end))


def read_spans(folder: Path) -> list[Span]:
    """The runs of Snakemake that have left a log in a folder, which need not exist."""
    spans = []
    for path in folder.glob(f"*{ENDS}"):
        try:
            start = _read_time(path.name.removesuffix(ENDS), NAMED)
            text = path.read_text("utf-8", "replace")
            # Its dates are cut to the second.
            jobs = {stage: _read_time(date, DATED) + 1 for date, stage in JOB.findall(text)}
        except ValueError:  # it is none of Snakemake's
            continue
        cores = re.search(r"^Provided cores: (\d+)", text, re.M)
        spans.append(Span(start, path.stat().st_mtime, int(cores[1]) if cores else None, jobs))
    return spans


def _read_time(text: str, form: str) -> float:
    """A local time, as Snakemake writes it, in seconds since 1970."""
    return datetime.strptime(text, form).timestamp()


def find_run(bars: Sequence[Bar], spans: Iterable[Span]) -> tuple[list[Bar], Span]:
    """The stages of the last run, and its beginning and end.

    It is the run of Snakemake within which the newest stage began. If it began within none, as
    under `dvc repro`, these are the stages since Snakemake last ended.

    Args:
        bars: one or more, by start.
        spans: in any order.
    """
    newest = bars[-1].start
    # A run within a run only looks, or waits.
    if around := [span for span in spans if span.start <= newest <= span.end]:
        run = min(around, key=lambda span: span.start)
        own = [
            replace(bar, asked=min(bar.start, run.jobs.get(bar.address, bar.start)))
            for bar in bars
            if bar.start >= run.start
        ]
        return own, replace(run, end=max(run.end, *(bar.end for bar in own)))
    before = max((span.end for span in spans if span.end < newest), default=-math.inf)
    own = [bar for bar in bars if bar.start > before]
    return own, Span(own[0].start, max(bar.end for bar in own), None, {})


def add_up_cores(bars: Iterable[Bar], run: Span) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many cores were in use: of each stage, what it had on average from start to end.

    Returns:
        Times, float64 (n + 1,), at which something begins or ends; from each to the next, the
        cores, float64 (n,), and the stages that had been started, int64 (n,).
    """
    moments = {moment for bar in bars for moment in (bar.asked, bar.start, bar.end)}
    times = np.array(sorted({run.start, run.end, *moments}))
    cores, stages = np.zeros(len(times) - 1), np.zeros(len(times) - 1, np.int64)
    for bar in bars:
        asked, first, last = np.searchsorted(times, (bar.asked, bar.start, bar.end))
        stages[asked:last] += 1
        if first < last:
            cores[first:last] += bar.cpu / (bar.end - bar.start)
    return times, cores, stages


def draw(bars: Sequence[Bar], run: Span) -> Figure:
    """The stages of a run, a row for each, and below them the cores in use."""
    times, cores, stages = add_up_cores(bars, run)
    rows: dict[str, list[Bar]] = defaultdict(list)
    for bar in sorted(bars, key=lambda bar: (bar.asked, bar.start)):
        name, _, key = bar.address.partition("@")
        rows[name if key.isdecimal() else f"{name} {key}".rstrip()].append(bar)
    names = lettering.drawable_labels([*rows], LONGEST)
    look = {"font.family": list(lettering.font_families(names))}
    with style.context([STYLE, look], after_reset=True):
        above, below = 0.27 * (len(rows) + 1), 1.3  # inches
        figure = Figure(figsize=(8, above + below + 1.4))
        figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(above, below))
        idle = np.stack([times[:-1], times[1:]], axis=1)[stages == 0]
        _draw_row(upper, 0, idle - run.start, GREY)
        for row, own in enumerate(rows.values(), start=1):
            _draw_row(upper, row, np.array([(b.asked, b.start) for b in own]) - run.start, WAIT)
            _draw_row(upper, row, np.array([(b.start, b.end) for b in own]) - run.start, BAR)
        upper.set_yticks(range(len(rows) + 1), [IDLE, *names])
        upper.set_ylim(len(rows) + 0.6, -0.6)
        upper.tick_params(length=0, labelbottom=False)
        upper.spines[:].set_visible(False)
        upper.grid(axis="x")
        _draw_cores(lower, times - run.start, cores, run.cores)
        _write_title(upper, len(bars), run)
    return figure


def say_seconds(seconds: float) -> str:
    """A time with what a reader can use of it, such as `0.4 s`, `50 s`, `12 min` or `3.2 h`."""
    unit, name = _find_unit(seconds)
    value = seconds / unit
    digits = 0 if value >= 9.95 else 1 if value >= 0.095 else 2
    return f"{value:.{digits}f}{NO_BREAK}{name}"


def _find_unit(seconds: float) -> tuple[int, str]:
    """The unit in which such a time is said, in seconds, and its name."""
    return (1, "s") if seconds < 600 else (60, "min") if seconds < 6000 else (3600, "h")


def _draw_row(axes: Axes, row: int, parts: np.ndarray, color: str) -> None:
    """Draws bars from start to end, float (n, 2) in seconds, and beside them how long they took."""
    parts = parts[parts[:, 1] > parts[:, 0]]
    if not len(parts):
        return
    # White edges divide shards; others would hide a stage of a moment.
    edge = "white" if color == BAR and len(parts) > 1 else color
    bars = [(start, end - start) for start, end in parts]
    axes.broken_barh(bars, (row - 0.36, 0.72), color=color, edgecolor=edge, linewidth=0.4)
    if color != WAIT:
        # Shards run side by side; the times without a stage do not.
        took = np.ptp(parts) if color == BAR else np.diff(parts).sum()
        beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "size": 8.5}
        axes.annotate(say_seconds(took), (parts.max(), row), **beside)


def _draw_cores(axes: Axes, times: np.ndarray, cores: np.ndarray, given: int | None) -> None:
    axes.stairs(cores, times, fill=True, color=AREA)
    if given:
        axes.axhline(given, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 1.1 * max(given or 0, *cores, 1))
    axes.set_xlim(0, times[-1] or 1)
    unit, name = _find_unit(times[-1])
    places = ticks((0, times[-1] / unit))
    axes.set_xticks(np.multiply(places, unit), [f"{place:g}{NO_BREAK}{name}" for place in places])
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(axis="x")
    axes.set_ylabel("cores in use")


def _write_title(axes: Axes, stages: int, run: Span) -> None:
    """Two lines above the rows."""
    given = f" on {counted(run.cores, 'core')}" if run.cores else ""
    title = f"The last run: {counted(stages, 'stage')} in {say_seconds(run.end - run.start)}{given}"
    over = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    axes.annotate(title, (0, 1), (0, 24), **over, size=13, weight="bold")
    axes.annotate(LEGEND, (0, 1), (0, 8), **over, size=9)


def main(arguments: list[str]) -> None:
    """Runs the script; exit status 2 for an error that a user can mend."""
    try:
        if len(arguments) != 1 or Path(arguments[0]).suffix != ".png":
            raise refuse("timeline.py", "given the .png to write", " ".join(arguments))
        path = Path(arguments[0])
        if path.is_dir() or not path.parent.is_dir():
            raise refuse(str(path), "a file in a folder that exists", str(path))
        figure = draw(*find_run(read_bars(LOGS), read_spans(ENGINE_LOGS)))
        with whole(path) as (part,), style.context(STYLE, after_reset=True):
            figure.savefig(part, metadata={"Software": None}, pil_kwargs={"optimize": True})
    except UserError as error:
        print(f"timeline.py: error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
