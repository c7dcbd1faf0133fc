"""Several engines at once in one project."""

import time
from collections.abc import Iterator
from functools import partial

from faults.moments import HEAD, LONG, REPORT
from faults.trial import ENGINES, Fault, Trial

KIND = "several engines at once"
PAIRS = (("dvc", "snakemake"), ("snakemake", "dvc"), ("dvc", "dvc"), ("snakemake", "snakemake"))


def faults() -> Iterator[Fault]:
    """All of them."""
    for first, second in PAIRS:
        for seed in range(3):
            changes = HEAD if seed == 0 else REPORT
            yield Fault(
                KIND,
                f"{second} starts at a random moment of {first}",
                seed,
                partial(_both, second),
                first,
                second if seed == 1 else "dvc",
                changes=changes,
            )
        yield Fault(
            KIND,
            f"{second} starts while a stage of {first} runs",
            0,
            partial(_while_held, second),
            first,
            changes=REPORT,
        )
        yield Fault(
            KIND,
            f"parameters are edited, then {second} starts while a stage of {first} runs",
            0,
            partial(_while_held, second, edited=True),
            first,
            changes=REPORT,
        )
    for engine in ENGINES:
        for command in (("dvc", "status"), ("snakemake", "--cores", "2", "-n")):
            for seed in range(2):
                yield Fault(
                    KIND,
                    f"{command[0]} {command[-1]} again and again while {engine} builds",
                    seed,
                    partial(_ask, command),
                    engine,
                    changes=REPORT if seed else HEAD,
                )


def _both(second: str, trial: Trial) -> None:
    run = trial.start()
    time.sleep(trial.random.uniform(0, LONG[trial.engine, "report"] / 2))
    trial.end(run, trial.start(*ENGINES[second]))


def _while_held(second: str, trial: Trial, edited: bool = False) -> None:
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
