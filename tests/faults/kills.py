"""Runs that are killed: at each point of each stage, at random moments, and while DVC records."""

import signal
import time
from collections.abc import Iterator
from functools import partial
from itertools import product

from background import Run
from faults.moments import ALL, GAP, HEAD, LONG, REPORT, await_rewritten, forget, moment, stages
from faults.trial import EITHER, Fault, Trial
from standin import POINTS

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TARGETS = {"the group": True, "the leader": False}
EXTENTS = {"report": REPORT, "head": HEAD, "all": ALL}


def faults() -> Iterator[Fault]:
    """All of them."""
    yield from _in_stages()
    yield from _at_random()
    yield from _while_recording()


def _in_stages() -> Iterator[Fault]:
    ways = list(product(SIGNALS, TARGETS))
    for place, stage in enumerate(stages()):
        for turn, engine in enumerate(EITHER):
            number, target = ways[(place + 3 * turn) % len(ways)]
            point = POINTS[(place + turn) % len(POINTS)]
            name = f"{number.name} to {target} of {engine}, {stage.address} at {point}"
            inject = partial(_at, stage.address, point, number, TARGETS[target])
            yield Fault("kill in a stage", name, inject, place, engine)


def _at(address: str, point: str, number: signal.Signals, group: bool, trial: Trial) -> None:
    forget(trial, address)
    _held(address, point, number, group, trial)


def _held(address: str, point: str, number: signal.Signals, group: bool, trial: Trial) -> None:
    with moment(trial, address, point) as run:
        run.send(number, group)
        if point != GAP:
            run.wait(1.0)  # some ignore the signal until their stage has ended
    _see_off(trial, run)


def _at_random() -> Iterator[Fault]:
    for extent, seeds in (("report", 5), ("head", 2), ("all", 1)):
        targets = TARGETS if extent == "report" else ["the group"]
        for number, target, engine, seed in product(SIGNALS, targets, EITHER, range(seeds)):
            name = f"{number.name} to {target} of {engine}, building {extent}"
            inject = partial(_moment, extent, number, TARGETS[target])
            # A plain run of Snakemake over all stages takes half a minute.
            cure = "dvc" if extent == "all" else EITHER[(EITHER.index(engine) + seed) % 2]
            kind, changes = "kill at a random moment", EXTENTS[extent]
            yield Fault(kind, name, inject, seed, engine, cure, changes=changes)


def _moment(extent: str, number: signal.Signals, group: bool, trial: Trial) -> None:
    run = trial.start()
    time.sleep(trial.random.uniform(0.2, LONG[trial.engine, extent]))
    run.send(number, group)
    _see_off(trial, run)


def _while_recording() -> Iterator[Fault]:
    kind = "kill while DVC records"
    for seed in range(10):
        engine, cure = EITHER[seed % 2], EITHER[seed // 2 % 2]
        number = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)[seed % 3]
        name = f"{number.name} while {engine} makes DVC rewrite dvc.lock"
        yield Fault(kind, name, partial(_rewriting, number), seed, engine, cure, changes=HEAD)
    for seed in range(6):
        address, changes = (("report", REPORT), ("head", HEAD))[seed % 2]
        name = f"SIGKILL between the end of {address} and its record"
        inject = partial(_held, address, GAP, signal.SIGKILL, True)
        yield Fault(kind, name, inject, seed, EITHER[seed // 3], changes=changes)


def _rewriting(number: signal.Signals, trial: Trial) -> None:
    run = trial.start()
    # After a run of Snakemake, dvc.lock is written once for all stages.
    times = 1 if trial.engine == "snakemake" else trial.random.choice((1, 1, 2, 3))
    await_rewritten(trial.path("dvc.lock"), run, times)
    # Into the middle of the writing, which takes some hundredths of a second.
    time.sleep(trial.random.choice((0.0, 0.0, 0.005, 0.02)))
    run.send(number)
    _see_off(trial, run)


def _see_off(trial: Trial, run: Run) -> None:
    trial.settle()
    trial.end(run)
