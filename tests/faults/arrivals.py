"""Images that arrive, change, go or are renamed while they are listed and decoded."""

import time
from collections.abc import Iterator
from functools import partial

import project
from faults.moments import GAP, Action, moment
from faults.trial import EITHER, Fault, Trial

KIND = "images that change in mid-run"
IMAGES = "data/raw/tiny"
FILES = {"manifest": "data/manifest.csv", "tensors@0": "data/tensors/0.npy"}


def faults() -> Iterator[Fault]:
    """All of them."""
    for row, address in enumerate(FILES):
        for column, point in enumerate(("start", "half", "after")):
            for place, (name, change) in enumerate(CHANGES.items()):
                engine = EITHER[(row + column + place) % 2]
                name = f"{name} while {address} of {engine} is at {point}"
                yield Fault(KIND, name, partial(_during, address, point, change), engine=engine)
    for name, change in CHANGES.items():
        name = f"{name} while DVC has not seen the end of manifest"
        yield Fault(KIND, name, partial(_during, "manifest", GAP, change))
    for seed in range(4):
        name = "many come, one by one, from before the run until after it"
        yield Fault(KIND, name, _stream, seed, EITHER[seed % 2])


def arrive(trial: Trial) -> None:
    """One more image."""
    project.add_image(trial.made.folder, trial.random.randrange(3), trial.random.randrange(50, 99))


def change(trial: Trial) -> None:
    """Other pixels under the same name."""
    copy = trial.path(IMAGES) / "a/05.png"
    copy.write_bytes((trial.path(IMAGES) / "b/06.png").read_bytes())


def leave(trial: Trial) -> None:
    """One image less."""
    (trial.path(IMAGES) / trial.random.choice(["a/00.png", "c/13.png"])).unlink()


def rename(trial: Trial) -> None:
    """The same image, in another class."""
    # One that has been read by half of the images, or one that has not.
    old = trial.path(IMAGES) / trial.random.choice(["a/02.png", "c/12.png"])
    old.rename(trial.path(IMAGES) / "a/77.png")


CHANGES: dict[str, Action] = {
    "one arrives": arrive,
    "one changes": change,
    "one goes": leave,
    "one is renamed": rename,
}


def _make_stale(trial: Trial) -> None:
    project.add_image(trial.made.folder, 1, 40)
    trial.learn()


def _command(trial: Trial, address: str) -> tuple[str, ...]:
    # Only as far as the stage: the plain run afterwards builds everything.
    if trial.engine == "dvc":
        return "dvc", "repro", address
    return "snakemake", "--cores", "2", FILES[address]


def _during(address: str, point: str, happen: Action, trial: Trial) -> None:
    _make_stale(trial)
    with moment(trial, address, point, *_command(trial, address)) as run:
        happen(trial)
        trial.learn()
    trial.end(run, whole=False)


def _stream(trial: Trial) -> None:
    _make_stale(trial)
    run = trial.start(*_command(trial, "tensors@0"))
    for number in range(15):
        project.add_image(trial.made.folder, number % 3, 50 + number)
        trial.learn()
        time.sleep(trial.random.uniform(0.1, 0.4))
    trial.end(run, whole=False)
