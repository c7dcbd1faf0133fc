"""A few faults on the real stages, which take seconds each."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial

from faults.bases import OTHER
from faults.damage import harm
from faults.moments import cached_outputs, forget, stored
from faults.runs import Run, await_true
from faults.trial import Fault, Missed, Trial

KIND = "real stages"


def faults() -> Iterator[Fault]:
    """All of them."""
    for address, engine, number in (
        ("head", "dvc", signal.SIGKILL),
        ("head", "snakemake", signal.SIGTERM),
        ("finetune", "dvc", signal.SIGINT),
        ("finetune", "snakemake", signal.SIGKILL),
        ("finetune", "dvc", signal.SIGKILL),
        ("views", "dvc", signal.SIGKILL),
    ):
        name = f"{number.name} to {engine} while {address} runs"
        yield _fault(name, partial(_kill, address, number), engine)
    yield _fault("parameters edited while head runs", partial(_edit, "head"), "dvc")
    yield _fault("parameters edited and reverted while head runs", _revert, "dvc")
    yield _fault("parameters edited while head runs", partial(_edit, "head"), "snakemake")
    for mode in ("a bit flipped", "cut"):
        yield _fault(
            f"an object of the cache {mode}, earlier parameters", partial(_object, mode), "dvc"
        )
    yield _fault("an image changes while tensors runs", _image, "dvc")


def _fault(name: str, inject: Callable[[Trial], None], engine: str) -> Fault:
    return Fault(KIND, f"{name} ({engine})", 0, inject, engine, "dvc", real=True)


def _working(trial: Trial, address: str) -> Run:
    """A run whose stage has begun: its folder for unfinished outputs is there."""
    forget(trial, address)
    run = trial.start()
    (folder,) = {"head": ["data/models"], "finetune": ["data/models"], "views": ["data/views"]}[
        address
    ]
    begun = trial.path(folder).glob
    if not await_true(lambda: any(begun(".part-*")) or run.status is not None, 120, 0.02):
        raise Missed(f"{address} did not start")
    if run.status is not None:
        raise Missed(f"the run ended before {address}")
    return run


def _kill(address: str, number: signal.Signals, trial: Trial) -> None:
    run = _working(trial, address)
    time.sleep(trial.random.uniform(0, 6))
    run.send(number, group=True)
    trial.settle()
    trial.end(run)


def _edit(address: str, trial: Trial) -> None:
    """The head is made with one rate, and params.yaml has another when it ends."""
    run = _working(trial, address)
    time.sleep(trial.random.uniform(0, 2))
    trial.edit(OTHER)
    trial.end(run)


def _revert(trial: Trial) -> None:
    run = _working(trial, "head")
    before = trial.path("params.yaml").read_bytes()
    trial.edit(OTHER)
    time.sleep(1)
    trial.path("params.yaml").write_bytes(before)
    trial.end(run)


def _object(mode: str, trial: Trial) -> None:
    now = trial.base.expect(trial.made.folder)
    cached = cached_outputs(trial)
    trial.edit(OTHER)
    then = trial.base.expect(trial.made.folder)
    names = sorted(name for name in cached if then[name] != now[name])
    harm(trial, stored(trial, then[trial.random.choice(names)]), mode, keep_time=True)


def _image(trial: Trial) -> None:
    """The stage is made to run again; the image is as before when all is built in the end."""
    forget(trial, "tensors@0")
    image = trial.path("data/raw/tiny/a/05.png")
    content, found = image.read_bytes(), image.stat()
    run = trial.start("dvc", "repro", "tensors@0")
    await_true(
        lambda: any(trial.path("data/tensors").glob(".part-*")) or run.status is not None, 60
    )
    image.write_bytes((image.parent / "06.png").read_bytes())
    trial.end(run, whole=False)
    image.write_bytes(content)
    os.utime(image, ns=(found.st_atime_ns, found.st_mtime_ns))
