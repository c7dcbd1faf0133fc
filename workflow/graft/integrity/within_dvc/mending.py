"""DVC's own files survive a kill and a full disk, or are mended where nothing is lost by it.

- `dvc.lock` is written beside its place and renamed. One that is cut, as another program or a full
  disk may leave it, or that neither DVC has written nor git knows, is replaced by what git has of
  it; without that it is removed. Nothing is lost: DVC's run cache has the results.
- A list of DVC's running processes (`.dvc/tmp/rwlock`) that cannot be read is removed. It is read
  under a lock, so no process is writing it at that moment, and the processes in it are gone.
"""

import functools
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from graft.integrity.within_dvc.processes import name_processes, strike_off_the_ended
from graft.integrity.within_dvc.yaml_of_dvc import modify_lock

_CONFLICT = "<<<<<<< "
# The names that git would give to the last two versions of dvc.lock that DVC has written here.
_WRITTEN = ".graft/lock"


def mend_dvc() -> None:
    """Puts the mending around DVC's functions, in this process."""
    from dvc import dvcfile, rwlock

    dvcfile.modify_yaml = contextmanager(functools.partial(_modify_whole, dvcfile.modify_yaml))
    rwlock._edit_rwlock = contextmanager(functools.partial(_edit_rwlock, rwlock._edit_rwlock))
    name_processes()
    load = dvcfile.Lockfile._load

    @functools.wraps(load)
    def load_mended(self: Any, **more: Any) -> Any:
        from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

        path = Path(self.path)
        if self.repo.fs.protocol != "local":
            return load(self, **more)
        try:
            if _is_ours(path):
                return load(self, **more)
        except (YAMLSyntaxError, YAMLValidationError):
            pass
        _mend_lock(path)
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
        is_lock = whole.name == "dvc.lock"
        with modify_lock(part) if is_lock else original(str(part), fs=fs) as data:
            yield data
        if is_lock:
            _note(part, whole)
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
        strike_off_the_ended(lock, Path(lock_dir))
        yield lock


def _is_list_of_processes(path: Path) -> bool:
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(lists, dict) and all(isinstance(found, dict) for found in lists.values())


def _note(part: Path, lock: Path) -> None:
    """Notes the version of dvc.lock that is about to be written, beside the present one."""
    path = lock.parent / _WRITTEN
    path.parent.mkdir(exist_ok=True)
    names = [_name(version) for version in (lock, part) if version.exists()]
    noted = path.with_name(f".part-{path.name}")
    noted.write_text("\n".join(names), encoding="utf-8")
    noted.replace(path)


def _is_ours(lock: Path) -> bool:
    """Whether DVC has written this dvc.lock here, or git knows it; also where nothing is noted."""
    try:
        written = (lock.parent / _WRITTEN).read_text(encoding="utf-8").split()
        name = _name(lock)
    except (OSError, ValueError):
        return True
    if name in written:
        return True
    known = subprocess.run(["git", "cat-file", "-e", name], cwd=lock.parent, capture_output=True)
    # 1 says that there is no such object; other errors, that there is no git.
    return known.returncode != 1


def _name(path: Path) -> str:
    """The name of a file among the objects of git."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _mend_lock(path: Path) -> None:
    """Replaces a `dvc.lock` that cannot be read, or is of nobody.

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
        say(f"{path.name} was damaged and is as git has it again; a run renews what has changed")
    else:
        path.unlink()
        say(f"{path.name} was damaged and was removed; DVC's cache gives the results back")
