"""The table: every fault is injected, and what became of it is counted by kind."""

import argparse
import fnmatch
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from importlib import import_module
from itertools import chain
from pathlib import Path

from faults import trial
from faults.bases import Base
from faults.trial import Fault, Outcome, perform
from project import ROOT

MODULES = ("kills", "edits", "arrivals", "damage", "disk", "together", "experiments", "history")
MODULES += ("surroundings", "real")
INJECTED = (trial.SURVIVED, trial.MOMENT, trial.OF_DVC, trial.HAND, trial.WRONG)
VERDICTS = (*INJECTED, trial.BROKEN, trial.SKIPPED)


def all_faults() -> list[Fault]:
    """Every fault, in the order of the table."""
    found = list(chain(*(import_module(f"faults.{name}").faults() for name in MODULES)))
    assert len({(fault.kind, fault.name, fault.seed) for fault in found}) == len(found)
    return found


def bases(folder: Path) -> dict[bool, Base]:
    """The projects that trials start from, not yet made: of stand-ins, and of real stages."""
    return {real: Base(folder / ("real" if real else "standins"), real) for real in (False, True)}


def run_all(faults: Iterable[Fault], jobs: int, folder: Path) -> Iterator[tuple[Fault, Outcome]]:
    """Performs trials side by side, and gives each outcome as soon as it is known.

    Args:
        faults: to inject.
        jobs: how many at a time.
        folder: for all files.
    """
    made = bases(folder)

    def attempt(fault: Fault, number: int) -> Outcome:
        outcome = perform(fault, made[fault.real], folder / f"trial{number}")
        if outcome.verdict == trial.BROKEN:  # the moment was missed, which may be chance
            outcome = perform(fault, made[fault.real], folder / f"trial{number}again")
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(attempt, f, number): f for number, f in enumerate(faults)}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def count(outcomes: Mapping[Fault, Outcome]) -> list[tuple[str, Counter[str]]]:
    """The verdicts by kind, in the order of the faults, with their sum at the end."""
    kinds: dict[str, Counter[str]] = {}
    for fault, outcome in outcomes.items():
        kinds.setdefault(fault.kind, Counter())[outcome.verdict] += 1
    return [*kinds.items(), ("all", sum(kinds.values(), Counter()))]


def draw(rows: Iterable[tuple[str, Counter[str]]]) -> str:
    """The table as Markdown, which is also easy to read on a terminal."""
    rows = list(rows)
    shown = [v for v in VERDICTS if v not in (trial.BROKEN, trial.SKIPPED) or rows[-1][1][v]]
    width = max(len(kind) for kind, _ in rows)
    lines = [
        f"| {'kind':<{width}} | injected | {' | '.join(shown)} |",
        f"|{'-' * (width + 2)}|---------:|{'|'.join('-' * (len(v) + 1) + ':' for v in shown)}|",
    ]
    for kind, counts in rows:
        cells = [f"{counts[verdict]:>{len(verdict)}}" for verdict in shown]
        lines.append(f"| {kind:<{width}} | {_injected(counts):>8} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _injected(counts: Counter[str]) -> int:
    return sum(counts[verdict] for verdict in INJECTED)


def write_markdown(path: Path, outcomes: Mapping[Fault, Outcome]) -> None:
    """Writes the table for the documentation, with the commit that it is of."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = " with changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    rows = count(outcomes)
    lines = [f"{_injected(rows[-1][1])} faults at commit `{commit}`{changed}.", "", draw(rows), ""]
    for verdict in (trial.MOMENT, trial.OF_DVC, trial.HAND, trial.WRONG):
        chosen = [(f, o) for f, o in outcomes.items() if o.verdict == verdict]
        if chosen:
            lines += [f"{verdict.capitalize()}:", ""]
            lines += [*(f"- {f.title}: {o.detail}" for f, o in chosen), ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def main() -> int:
    """Runs the faults that the command line asks for; 1 if one of them was not survived."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--only", metavar="PATTERN", help="faults whose kind or name has it")
    parser.add_argument("--jobs", type=int, default=2, help="trials side by side (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="added to the seed of every fault")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, drawn at random")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="writes the table there")
    parser.add_argument("--list", action="store_true", help="lists the faults and ends")
    asked = parser.parse_args()
    faults = [replace(f, seed=f.seed + asked.seed) for f in all_faults() if _matches(f, asked.only)]
    if asked.sample is not None:
        faults = random.Random(asked.seed).sample(faults, min(asked.sample, len(faults)))
    if asked.list:
        print(*(fault.title for fault in faults), sep="\n")
        return 0
    if not faults:
        parser.error("no fault has this kind or name")
    # Behind `nohup` or `&` Ctrl-C is ignored, and would be in all runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began, outcomes = time.monotonic(), dict[Fault, Outcome]()
    with tempfile.TemporaryDirectory(prefix="graft-faults-", ignore_cleanup_errors=True) as name:
        for fault, outcome in run_all(faults, asked.jobs, Path(name)):
            outcomes[fault] = outcome
            head = f"[{len(outcomes)}/{len(faults)}] {outcome.verdict} ({outcome.seconds:.0f} s)"
            said = [f"{head}: {fault.title}"]
            said += [f"    {outcome.detail}"] if outcome.detail else []
            if outcome.verdict not in (trial.SURVIVED, trial.SKIPPED):
                said += [f"    | {line}" for line in outcome.printed.splitlines()]
            print(*said, sep="\n", flush=True)
    outcomes = {fault: outcomes[fault] for fault in faults}
    print(f"\n{draw(count(outcomes))}\n\n{time.monotonic() - began:.0f} s with {asked.jobs} jobs")
    if asked.markdown:
        write_markdown(asked.markdown, outcomes)
    bad = {trial.HAND, trial.WRONG, trial.BROKEN}
    return int(any(outcome.verdict in bad for outcome in outcomes.values()))


def _matches(fault: Fault, pattern: str | None) -> bool:
    return pattern is None or pattern in fault.title or fnmatch.fnmatch(fault.title, pattern)


def _git(*arguments: str) -> str:
    ended = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, encoding="utf-8")
    return ended.stdout.strip()
