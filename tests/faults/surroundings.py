"""Times, folders, rights and leftovers around a build."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from faults.moments import ALL, HEAD, REPORT, Action
from faults.trial import EITHER, Fault, Skip, Trial

TIMES, MOVES = "files from the future or the past", "folders moved and renamed"
RIGHTS = "leftovers and rights"
DAY = 86400
NAMES = ("with spaces", "사진 모음", "it's $HOME (1) & more")
FUTURES = {
    "images": ("data/raw/**/*",),
    "outputs": ("data/models/*", "data/split.csv", "reports/**/*"),
    "flags": (".graft/**/*",),
    "parameters and code": ("params.yaml", "dvc.yaml", "workflow/**/*.py"),
}


def faults() -> Iterator[Fault]:
    """All of them."""
    for engine in EITHER:
        for name, patterns in FUTURES.items():
            yield _fault(TIMES, name, partial(_future, patterns), engine)
        yield _fault(TIMES, "everything, stale", _all_future, engine)
        yield _fault(TIMES, "all files of 1971", _past, engine)
        yield _fault(MOVES, "moved in mid-run", _move_in_run, engine)
        yield _fault(RIGHTS, "built by another user", _other_user, engine)
        yield _fault(RIGHTS, "another user's site cache", _other_site, engine)
    for turn, name in enumerate(NAMES):
        yield _fault(MOVES, f"moved to “{name}”", partial(_move, name, REPORT), EITHER[turn % 2])
        yield Fault(MOVES, f"built from nothing in “{name}”", partial(_move, name, ALL))
    yield _fault(MOVES, "moved there and back", _there_and_back, "dvc")
    for turn, (name, inject) in enumerate(LEFT.items()):
        yield _fault(RIGHTS, name, inject, EITHER[turn % 2])


def _fault(kind: str, name: str, inject: Action, engine: str) -> Fault:
    return Fault(kind, f"{name}, then {engine}", inject, engine=engine, cure=engine)


def _future(patterns: tuple[str, ...], trial: Trial) -> None:
    trial.edit(HEAD)
    _set_times(trial, patterns, time.time() + DAY)


def _all_future(trial: Trial) -> None:
    _set_times(trial, ("**/*",), time.time() + DAY)
    trial.edit(REPORT)


def _past(trial: Trial) -> None:
    trial.edit(REPORT)
    _set_times(trial, ("**/*",), 40_000_000.0)


def _set_times(trial: Trial, patterns: tuple[str, ...], when: float) -> None:
    for pattern in patterns:
        for path in trial.made.folder.glob(pattern):
            if path.is_file() and ".git/" not in str(path):
                os.utime(path, (when, when))


def _rename(trial: Trial, name: str) -> None:
    folder = trial.top / name
    trial.made.folder.rename(folder)
    trial.made.folder = folder


def _move(name: str, changes: Mapping[str, Any], trial: Trial) -> None:
    _rename(trial, name)
    trial.edit(changes)


def _there_and_back(trial: Trial) -> None:
    _rename(trial, "elsewhere")
    trial.edit(REPORT)
    trial.build()
    _rename(trial, "project")
    trial.checkout("params.yaml")


def _move_in_run(trial: Trial) -> None:
    trial.edit(HEAD)
    with trial.held(None, "head", "half") as run:
        _rename(trial, "elsewhere")
    run.wait(60)
    trial.settle()


def _remains(trial: Trial) -> None:
    """What killed stages have left, beside outputs and where stages list files."""
    trial.edit(HEAD)
    for name in ("data/models", "data/tensors", "reports/head", "data/raw/tiny/a", "data"):
        part = trial.path(name) / ".part-k1ll3d"
        part.mkdir()
        (part / "head.keras").write_bytes(b"half of a mod")


def _read_only(trial: Trial) -> None:
    trial.edit(HEAD)
    for folder in ("data/models", "data/tensors", "reports/head", "logs", ".graft"):
        for path in trial.path(folder).rglob("*"):
            if path.is_file():
                path.chmod(0o444)
    _give_up(trial)


def _read_only_parts(trial: Trial) -> None:
    _remains(trial)
    for part in trial.made.folder.rglob(".part-*"):
        (part / "head.keras").chmod(0o444)
        part.chmod(0o555)
    _give_up(trial)


def _read_only_folder(trial: Trial) -> None:
    """A run without the right to write fails; a plain run with it follows."""
    trial.edit(HEAD)
    _give_up(trial)
    folder = trial.path("data/models")
    folder.chmod(0o555)
    trial.build()
    folder.chmod(0o755)


def _links(trial: Trial) -> None:
    """Folders of results become links to another disk, which DVC refuses, and folders again."""
    trial.edit(HEAD)
    places = {name: trial.top / "disk" / name for name in ("data/models", "data/tensors")}
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(trial.path(name), place)
        trial.path(name).symlink_to(place)
    trial.build()
    for name, place in places.items():
        trial.path(name).unlink()
        shutil.move(place, trial.path(name))


def _empty_folders(trial: Trial) -> None:
    trial.edit(REPORT)
    for name in ("data/models", "data/duplicates", "reports/head", "data/new"):
        shutil.rmtree(trial.path(name), ignore_errors=True)
        trial.path(name).mkdir(parents=True)


def _strange_files(trial: Trial) -> None:
    trial.edit(HEAD)
    for name in ("data/models/head.keras.bak", "data/tensors/9.npy", "data/checked/남은.csv"):
        trial.path(name).write_bytes(b"of another build")


LEFT: dict[str, Action] = {
    "folders of killed stages": _remains,
    "read-only outputs": _read_only,
    "read-only folders of killed stages": _read_only_parts,
    "a folder that was read-only for one run": _read_only_folder,
    "folders of results that are links": _links,
    "folders of results that are empty": _empty_folders,
    "strange files among the results": _strange_files,
}


def _give_up(trial: Trial) -> None:
    """Lets commands obey permissions even if root runs the trials."""
    if os.geteuid() == 0:
        _need("setpriv")
        trial.prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise Skip(f"there is no {program} here")


def _other_user(trial: Trial) -> None:
    """Everything belongs to another user from now on."""
    trial.must("dvc", "status")
    trial.edit(REPORT)
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    _need("setpriv")
    # The interpreter may be in a folder that is closed to others, so reading is allowed.
    rights = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    user = ("--reuid", "65534", "--regid", "65534", "--clear-groups")
    trial.prefix = ("setpriv", *user, *rights)
    trial.made.extra["HOME"] = str(trial.top / "home")
    (trial.top / "home").mkdir()
    _give(trial.top, 65534)


def _give(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def _other_site(trial: Trial) -> None:
    """What DVC keeps for the whole machine belongs to the first user."""
    _other_user(trial)
    _give(trial.top / "project.site", 0)
