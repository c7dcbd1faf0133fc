"""DVC's own files survive a kill and a full disk, or are mended where nothing is lost by it.

- `dvc.lock` is written beside its place and renamed. One that is cut, as another program or a full
  disk may leave it, is replaced by what git has of it; without that it is removed. Nothing is lost:
  DVC's run cache has the results.
- A list of DVC's running processes (`.dvc/tmp/rwlock`) that cannot be read is removed. It is read
  under a lock, so no process is writing it at that moment, and the processes in it are gone.
"""

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

_CONFLICT = "<<<<<<< "


def mend_dvc() -> None:
    """Puts the mending around DVC's functions, in this process."""
    from dvc import dvcfile, rwlock

    dvcfile.modify_yaml = contextmanager(functools.partial(_modify_whole, dvcfile.modify_yaml))
    rwlock._edit_rwlock = contextmanager(functools.partial(_edit_rwlock, rwlock._edit_rwlock))
    load = dvcfile.Lockfile._load

    @functools.wraps(load)
    def load_mended(self: Any, **more: Any) -> Any:
        from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

        try:
            return load(self, **more)
        except (YAMLSyntaxError, YAMLValidationError):
            if self.repo.fs.protocol != "local":
                raise
            _mend_lock(Path(self.path))
        return load(self, **more)

    dvcfile.Lockfile._load = load_mended


def say(message: str) -> None:
    """One line for the person who waits."""
    print(f"graft: {message}", file=sys.stderr, flush=True)


def _modify_whole(original: Callable[..., Any], path: str, fs: Any = None) -> Iterator[Any]:
    whole = Path(path)
    part = whole.with_name(f".part-{whole.name}")
    part.unlink(missing_ok=True)
    try:
        if whole.exists():
            shutil.copy(whole, part)
        with original(str(part), fs=fs) as data:
            yield data
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)


def _edit_rwlock(
    original: Callable[..., Any], lock_dir: str, fs: Any, hardlink: bool
) -> Iterator[Any]:
    from dvc.lock import make_lock
    from dvc.rwlock import (
        RWLOCK_FILE,
        RWLOCK_LOCK,
        RWLockFileCorruptedError,
        RWLockFileFormatError,
    )

    with ExitStack() as stack:
        try:
            lock = stack.enter_context(original(lock_dir, fs, hardlink))
        except (RWLockFileCorruptedError, RWLockFileFormatError):
            path = Path(lock_dir) / RWLOCK_FILE
            with make_lock(str(Path(lock_dir) / RWLOCK_LOCK), lock_dir, hardlink_lock=hardlink):
                # Another process may have mended it meanwhile.
                if not _is_list_of_processes(path):
                    path.unlink(missing_ok=True)
                    say(f"{path} was damaged and was removed")
            lock = stack.enter_context(original(lock_dir, fs, hardlink))
        yield lock


def _is_list_of_processes(path: Path) -> bool:
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(lists, dict) and all(isinstance(found, dict) for found in lists.values())


def _mend_lock(path: Path) -> None:
    """Replaces a `dvc.lock` that cannot be read.

    Raises:
        DvcException: it holds a merge conflict, in which a person has to choose.
    """
    from dvc.exceptions import DvcException

    text = path.read_text(encoding="utf-8", errors="replace")
    if any(line.startswith(_CONFLICT) for line in text.splitlines()):
        raise DvcException(
            f"{path.name} must be without conflicts of a merge: give `git checkout --ours"
            f" {path.name}`, then run again. Received: {_CONFLICT.strip()}"
        )
    command = ["git", "show", f":./{path.name}"]
    kept = subprocess.run(command, cwd=path.parent, capture_output=True, check=False).stdout
    part = path.with_name(f".part-{path.name}")
    if kept and kept.decode("utf-8", "replace") != text:
        part.write_bytes(kept)
        part.replace(path)
        say(f"{path.name} was cut and is again as git has it; the run renews what has changed")
    else:
        path.unlink()
        say(f"{path.name} was cut and was removed; DVC's cache gives the results back")
