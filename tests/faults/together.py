"""Several engines at once in one project."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import product

from faults.moments import HEAD, LONG, REPORT
from faults.trial import EITHER, ENGINES, Fault, Trial

KIND = "several engines at once"


def faults() -> Iterator[Fault]:
    """All of them."""
    for first, second in product(EITHER, EITHER):
        for seed in range(3):
            name = f"{second} starts at a random moment of {first}"
            changes, cure = REPORT if seed else HEAD, second if seed == 1 else "dvc"
            yield Fault(KIND, name, partial(_both, second), seed, first, cure, changes=changes)
        for edited in (False, True):
            name = f"{second} starts while a stage of {first} runs"
            name = f"parameters are edited, then {name}" if edited else name
            inject = partial(_while_held, second, edited)
            yield Fault(KIND, name, inject, engine=first, changes=REPORT)
    commands = (("dvc", "status"), ("snakemake", "--cores", "2", "-n"))
    for engine, command, seed in product(EITHER, commands, range(2)):
        name = f"{command[0]} {command[-1]} again and again while {engine} builds"
        changes = REPORT if seed else HEAD
        yield Fault(KIND, name, partial(_ask, command), seed, engine, changes=changes)


def _both(second: str, trial: Trial) -> None:
    run = trial.start()
    time.sleep(trial.random.uniform(0, LONG[trial.engine, "report"] / 2))
    trial.end(run, trial.start(*ENGINES[second]))


def _while_held(second: str, edited: bool, trial: Trial) -> None:
    with trial.held(None, "report", "half") as run:
        if edited:
            trial.edit({"report.smoothing": 0.35})
        other = trial.start(*ENGINES[second])
        other.wait(6)  # it may wait, refuse, or go another way
    trial.end(run, other)


def _ask(command: tuple[str, ...], trial: Trial) -> None:
    run = trial.start()
    while run.status is None:
        trial.call(*command)
    trial.end(run)
