"""Runs that are killed: at each point of each stage, at random moments, and while DVC records."""

import signal
import time
from collections.abc import Iterator

from faults.moments import ALL, HEAD, LONG, REPORT, await_rewritten, forget, gap, stages
from faults.runs import Run
from faults.trial import ENGINES, Fault, Trial
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
    ways = [(number, target) for number in SIGNALS for target in TARGETS]
    for place, stage in enumerate(stages()):
        for turn, engine in enumerate(ENGINES):
            number, target = ways[(place + 3 * turn) % len(ways)]
            point = POINTS[(place + turn) % len(POINTS)]
            yield Fault(
                "kill in a stage",
                f"{number.name} to {target} of {engine}, {stage.address} at {point}",
                place,
                lambda trial, a=stage.address, p=point, n=number, t=target: _at(trial, a, p, n, t),
                engine,
            )


def _at(trial: Trial, address: str, point: str, number: signal.Signals, target: str) -> None:
    forget(trial, address)
    with trial.held(None, address, point) as run:
        run.send(number, TARGETS[target])
        run.wait(1.0)  # some ignore the signal until their stage has ended
    _see_off(trial, run)


def _at_random() -> Iterator[Fault]:
    for extent, seeds in (("report", 5), ("head", 2), ("all", 1)):
        for number in SIGNALS:
            for target in TARGETS if extent == "report" else ["the group"]:
                for engine in ENGINES:
                    for seed in range(seeds):
                        yield Fault(
                            "kill at a random moment",
                            f"{number.name} to {target} of {engine}, building {extent}",
                            seed,
                            lambda trial, e=extent, n=number, t=target: _moment(trial, e, n, t),
                            engine,
                            _cure(extent, engine, seed),
                            changes=EXTENTS[extent],
                        )


def _cure(extent: str, engine: str, seed: int) -> str:
    # A plain run of Snakemake over all stages takes half a minute.
    return "dvc" if extent == "all" else [engine, *(set(ENGINES) - {engine})][seed % 2]


def _moment(trial: Trial, extent: str, number: signal.Signals, target: str) -> None:
    run = trial.start()
    time.sleep(trial.random.uniform(0.2, LONG[trial.engine, extent]))
    run.send(number, TARGETS[target])
    _see_off(trial, run)


def _while_recording() -> Iterator[Fault]:
    for seed in range(10):
        engine = list(ENGINES)[seed % 2]
        number = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)[seed % 3]
        yield Fault(
            "kill while DVC records",
            f"{number.name} while {engine} makes DVC rewrite dvc.lock",
            seed,
            lambda trial, n=number: _rewriting(trial, n),
            engine,
            list(ENGINES)[seed // 2 % 2],
            changes=HEAD,
        )
    for seed in range(6):
        yield Fault(
            "kill while DVC records",
            f"SIGKILL between the end of {('report', 'head')[seed % 2]} and its record",
            seed,
            lambda trial, a=("report", "head")[seed % 2]: _in_gap(trial, a),
            list(ENGINES)[seed // 3],
            changes=HEAD if seed % 2 else REPORT,
        )


def _rewriting(trial: Trial, number: signal.Signals) -> None:
    run = trial.start()
    # After a run of Snakemake, dvc.lock is written once for all stages.
    times = 1 if trial.engine == "snakemake" else trial.random.choice((1, 1, 2, 3))
    await_rewritten(trial.path("dvc.lock"), run, times)
    # Into the middle of the writing, which takes some hundredths of a second.
    time.sleep(trial.random.choice((0.0, 0.0, 0.005, 0.02)))
    run.send(number, group=True)
    _see_off(trial, run)


def _in_gap(trial: Trial, address: str) -> None:
    run = trial.start()
    with gap(trial, run, address):
        run.send(signal.SIGKILL, group=True)
    _see_off(trial, run)


def _see_off(trial: Trial, run: Run) -> None:
    trial.settle()
    trial.end(run)
