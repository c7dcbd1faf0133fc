"""A few faults on the real stages, which take seconds each."""

import os
import signal
import time
from collections.abc import Iterator
from functools import partial

from background import Run
from faults.bases import OTHER
from faults.damage import harm
from faults.moments import Action, changed_objects, forget
from faults.trial import Fault, Missed, Trial

UNFINISHED = {"head": "data/models", "finetune": "data/models", "views": "data/views"}
UNFINISHED |= {"tensors@0": "data/tensors"}


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
    yield _fault("parameters edited while head runs", _edit)
    yield _fault("parameters edited and reverted while head runs", _revert)
    yield _fault("parameters edited while head runs", _edit, "snakemake")
    for mode in ("a bit flipped", "cut"):
        name = f"an object of the cache {mode}, earlier parameters"
        yield _fault(name, partial(_object, mode))
    yield _fault("an image changes while tensors runs", _image)


def _fault(name: str, inject: Action, engine: str = "dvc") -> Fault:
    return Fault("real stages", f"{name} ({engine})", inject, engine=engine, real=True)


def _working(trial: Trial, address: str, *command: str) -> Run:
    """A run whose stage has begun: its folder for unfinished outputs is there."""
    forget(trial, address)
    run = trial.start(*command)
    begun = trial.path(UNFINISHED[address]).glob
    if not run.wait_until(lambda: any(begun(".part-*")), 120) or run.status is not None:
        raise Missed(f"{address} did not start, or the run has ended")
    return run


def _kill(address: str, number: signal.Signals, trial: Trial) -> None:
    run = _working(trial, address)
    time.sleep(trial.random.uniform(0, 6))
    run.send(number)
    trial.settle()
    trial.end(run)


def _edit(trial: Trial) -> None:
    """The head is made with one rate, and params.yaml has another when it ends."""
    run = _working(trial, "head")
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
    found = changed_objects(trial, OTHER)
    harm(trial, trial.random.choice(sorted(found)), mode, keep_time=True)


def _image(trial: Trial) -> None:
    """The stage is made to run again; the image is as before when all is built in the end."""
    image = trial.path("data/raw/tiny/a/05.png")
    content, found = image.read_bytes(), image.stat()
    run = _working(trial, "tensors@0", "dvc", "repro", "tensors@0")
    image.write_bytes((image.parent / "06.png").read_bytes())
    trial.end(run, whole=False)
    image.write_bytes(content)
    os.utime(image, ns=(found.st_atime_ns, found.st_mtime_ns))
