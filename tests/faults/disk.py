"""A disk that is full for one run and then made larger."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from faults.moments import HEAD, REPORT
from faults.trial import EITHER, Fault, Missed, Skip, Trial

KIB = 1024
LARGE = 256 * KIB * KIB


def faults() -> Iterator[Fault]:
    """All of them."""
    # A report needs some 40 KiB, the head and what follows more than 100.
    for place, free in enumerate((0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 88)):
        engine, cure, site = EITHER[place % 2], EITHER[place // 2 % 2], place % 5 == 4
        where = "everything" if site else "the project"
        name = f"{free} KiB are free for {where}, building with {engine}"
        changes = REPORT if place % 3 and free < 30 else HEAD
        inject = partial(_full, free, site)
        yield Fault("full disk", name, inject, engine=engine, cure=cure, changes=changes)


def _full(free: int, site: bool, trial: Trial) -> None:
    """A build on a disk with little room, then more room.

    Args:
        free: in KiB.
        site: whether what DVC keeps for the whole machine is on the same disk.
        trial: with parameters that are not built.
    """
    if os.geteuid() != 0:
        raise Skip("only root can mount a small disk")
    disk = trial.top / "disk"
    disk.mkdir()
    if _mount("-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs", str(disk)):
        raise Skip("a small disk cannot be mounted here")
    trial.before_cleaning.append(partial(_unmount, disk))
    shutil.copytree(trial.made.folder, disk / "project", symlinks=True)
    trial.made.folder = disk / "project"
    if not site:
        trial.made.extra["DVC_SITE_CACHE_DIR"] = str(trial.top / "site")
    trial.call("dvc", "status")  # writes what DVC keeps beside the project
    found = os.statvfs(disk)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    _resize(disk, used + free * KIB)
    if trial.build() == 0:
        raise Missed("there was room enough")
    _resize(disk, LARGE)


def _resize(disk: Path, size: int) -> None:
    if _mount("-o", f"remount,size={size}", str(disk)):
        raise Skip("the small disk cannot be resized here")


def _mount(*arguments: str) -> int:
    return subprocess.run(("mount", *arguments), capture_output=True).returncode


def _unmount(disk: Path) -> None:
    subprocess.run(("umount", "--lazy", str(disk)), capture_output=True)
