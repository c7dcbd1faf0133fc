"""How fast graft is, beside what people would write themselves.

    uv run python -m benchmarks [ROW …] [--photos FOLDER] [--weights none] [--rounds N]

Everything is measured in this run, graft and its peers in turn; a ratio is of medians. The table
goes to `benchmarks/results.md`. `peers/` has the other programs in full. Without a folder of class
folders, photos are made up, of 320 × 240 pixels: times are then real, accuracies say little.
"""

import argparse
import datetime
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import added, engines, finetuning, networks
from benchmarks.measuring import Row
from benchmarks.projects import ROOT, Bench

RESULTS = ROOT / "benchmarks/results.md"
ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "head": partial(engines.compare_head, count=600, most=1.4),
    "second-head": partial(engines.compare_head, count=600, most=1.0, second=True),
    "finetuning": engines.compare_finetuning,
    "large-head": partial(engines.compare_head, count=4000, most=0.9),
    "mobilenetv2": partial(networks.compare, name="MobileNetV2", side=160, wanted=(1.9, 3.2)),
    "inceptionv3": partial(networks.compare, name="InceptionV3", side=150, wanted=(1.2, 2.0)),
    "layers": partial(finetuning.compare, network="InceptionV3", wanted=(3.0, 1.6)),
    "change": engines.compare_change,
    "added": partial(added.compare_added, count=10_000, name="MobileNetV2", side=160, wanted=12),
    "added-inceptionv3": partial(added.compare_added, count=10_000, name="InceptionV3", side=150),
    "nothing": engines.compare_nothing,
    "default": engines.time_default,
}


def main() -> None:
    """Measures the rows that are asked for, all by default, and writes the table."""
    what, _, more = __doc__.partition("\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=what, epilog=more)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="of class folders")
    parser.add_argument("--weights", default="imagenet", help="imagenet, none, or a file .h5")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: 3")
    given = parser.parse_args()
    if unknown := [row for row in given.rows if row not in ROWS]:
        parser.error(f"a row must be one of {', '.join(ROWS)}. Received: {unknown[0]!r}")
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="graft-benchmarks-") as folder:
        bench = Bench(Path(folder), given.photos, given.weights, given.rounds)
        for name in given.rows or ROWS:
            for row in ROWS[name](bench):
                found.append(row)
                print(show(row), flush=True)
    RESULTS.write_text(render(found, given), encoding="utf-8")
    print(f"written to {RESULTS.relative_to(ROOT)}")


def show(row: Row) -> str:
    """A row of the table in Markdown."""
    sign = "≤" if row.at_most else "≥"
    mark = "" if row.reached else ", not reached"
    return (
        f"| {row.what} | {row.against} | {row.ratio:.2f} | {sign} {row.wanted:g}{mark}"
        f" | {row.times} | {row.note} |"
    )


def render(rows: list[Row], given: argparse.Namespace) -> str:
    """The whole file."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    machine = f"{os.cpu_count()} cores ({names[0] if names else platform.processor()})"
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"`uv run python -m benchmarks {' '.join(given.rows)}`".replace(" `", "`")
            + f", medians of {given.rounds} rounds; photos:"
            f" {'of a folder' if given.photos else 'made up'}; weights: {given.weights}.",
            "",
            f"Commit {commit}, {datetime.date.today()}, {machine},"
            f" Python {platform.python_version()}.",
            "",
            "| what | against | ratio | wanted | times: graft, the other | |",
            "|---|---|---|---|---|---|",
            *map(show, rows),
            "",
        ]
    )


if __name__ == "__main__":
    main()
