"""Checks within DVC: what it records is what was used, and what it restores is what it recorded.

DVC hashes what a stage depends on after the command has run, trusts each file of its cache without
a look at it, and knows a file again by its inode, size and time of writing. `install_checks` puts
checks around some of DVC's functions, in every process that runs DVC:

- `Stage._run_stage` and `Stage.save`: between the run of a stage and the record of it, nothing that
  the stage depends on may have moved. Otherwise nothing is recorded, and the outputs go.
- `Stage.outs_cached`, `Output.checkout` and `_create_files` of `dvc checkout`: a file of the cache
  is hashed before it is restored. A damaged one goes, so that the stage runs instead.
- `StageCache._load_cache`: an entry of the run cache is used only where its name is its hash.
- `StageCache.push` and `pull`: the files that an entry names go with it.
- `_checksum` of DVC's table of hashes: a file is hashed anew also if its time of change, which
  programs cannot set, is another one.
- `_make_cmd`: the shell gives its process to the stage. DVC waits for its shell alone, and not
  every shell outlives a signal that the stage is still answering.
- `Stage.reproduce`: waits for a process that is running the same stage, which DVC would refuse.
- `Output._build`: of a folder that a stage depends on, DVC computes the hash ten times. Here it is
  computed once, as long as the signatures of all files in it stay the same. They are taken three
  times: at the start, after the command, and for the record.
- `read_param_file`: of libraries, what is installed counts (`libraries`).
- `Stage.run`: what lies in the folder once all is recorded is known by its signature, so that the
  launcher can tell an output that was damaged since.

How DVC's own files survive is in `mending`.
"""

import contextlib
import functools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from graft.integrity.damage import find_damaged
from graft.integrity.earlier import BY_ROW, CACHE, note_made
from graft.integrity.ground import (
    digest,
    drop_record,
    find_moved_value,
    flatten,
    is_settled,
    read_record,
    sign,
    store_record,
)
from graft.integrity.libraries import VERSIONS, read_installed, write_versions
from graft.integrity.lifetime import DVC_PROCESS
from graft.integrity.within_dvc import mending
from graft.integrity.within_dvc.run_cache import pull_entries, push_entries
from graft.integrity.within_dvc.yaml_of_dvc import read_once

_MOVED = "nothing was kept; run it again"
_ONE_COMMAND = re.compile(r"graft [\w@ .-]+")
_PAUSE = 0.3  # seconds between two looks at a busy stage
_built: dict[tuple[str, str], tuple[str, Any]] = {}
# The signatures of folders that were taken since a stage was looked at, its command ended or its
# record began; None at other times.
_signed: dict[str, tuple[str, bool]] | None = None
_matched: dict[int, list[Any] | None] = {}


def install_checks() -> None:
    """Puts the checks around DVC's methods, in this process."""
    from dvc.dependency import param
    from dvc.output import Output
    from dvc.stage import Stage
    from dvc.stage import run as running
    from dvc.stage.cache import StageCache
    from dvc_data.hashfile import state
    from dvc_data.index import checkout

    _wrap(Stage, "_run_stage", _run_stage)
    _wrap(Stage, "save", _save)
    _wrap(Stage, "run", _run)
    _wrap(Stage, "outs_cached", _outs_cached)
    _wrap(Output, "checkout", _checkout)
    _wrap(checkout, "_create_files", _create_files)
    _wrap(StageCache, "_load_cache", _load_cache)
    _wrap(StageCache, "push", push_entries)
    _wrap(StageCache, "pull", pull_entries)
    _wrap(state, "_checksum", _checksum)
    _wrap(running, "_make_cmd", _make_command)
    _wrap(Stage, "reproduce", _reproduce)
    _wrap(Output, "_build", _build)
    _wrap(param, "read_param_file", read_installed)
    mending.mend_dvc()
    read_once()


def hash_ahead(address: str) -> None:
    """Hashes the folders that a stage depends on before DVC does so under its lock.

    While DVC looks at a stage, it holds one lock for the whole project. Jobs of many nodes that
    read a folder of many files would wait for each other longer than they compute.

    Args:
        address: of the stage, such as `tensors@0`.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with contextlib.suppress(DvcException, OSError), Repo() as repo:
        for dependency in repo.stage.load_one(name=address).deps:
            if dependency.protocol == "local" and Path(dependency.fs_path).is_dir():
                dependency.get_hash()  # `_build` keeps it


def _wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def checked(first: Any, *positions: Any, **named: Any) -> Any:
        return around(first, original, *positions, **named)

    setattr(owner, name, checked)


def _run_stage(
    stage: Any, original: Callable[..., Any], dry: bool, force: bool, **more: Any
) -> None:
    if dry:
        original(stage, dry, force, **more)
        return
    drop_record(stage.addressing, _folder(stage))
    os.environ[DVC_PROCESS] = str(os.getpid())
    # A stage that is forced to run computes everything.
    os.environ.pop(CACHE, None)
    if not force and BY_ROW in (stage.meta or {}):
        os.environ[CACHE] = stage.repo.cache.local.path
    original(stage, dry, force, **more)
    _look_anew()
    # What DVC took for the ground: it restored the outputs for these hashes, or had them before the
    # command. A forced run has not taken any.
    _matched[id(stage)] = None if force else [dependency.hash_info for dependency in stage.deps]


def _make_command(
    executable: str | None, original: Callable[..., Any], command: str
) -> list[str] | str:
    one = executable is not None and _ONE_COMMAND.fullmatch(command)
    return original(executable, f"exec {command}" if one else command)


def _save(
    stage: Any, original: Callable[..., Any], allow_missing: bool = False, run_cache: bool = True
) -> None:
    if id(stage) not in _matched:  # `dvc commit` and `dvc add` record what is there, as asked for
        original(stage, allow_missing=allow_missing, run_cache=run_cache)
        return
    matched = _matched.pop(id(stage))
    _look_anew()
    original(stage, allow_missing=allow_missing, run_cache=False)
    moved = next(_find_moved(stage, matched), None)
    if moved is not None:
        from dvc.exceptions import DvcException

        stage.remove_outs(ignore_remove=False, force=True)
        raise DvcException(
            f"the ground of {stage.addressing} must stay as it is until DVC has recorded it;"
            f" {_MOVED}. Received: {moved}"
        )
    if run_cache:
        stage.repo.stage_cache.save(stage)


def _find_moved(stage: Any, matched: list[Any] | None) -> Iterator[str]:
    """What moved between the run of a stage, or the search for its result, and its record."""
    record, folder = read_record(stage.addressing, _folder(stage)), _folder(stage)
    if record is None:
        now = [dependency.hash_info for dependency in stage.deps]
        for dependency, before, after in zip(stage.deps, matched or now, now, strict=True):
            if before != after:
                yield f"{dependency}, which was changed"
        return
    recorded: dict[str, Any] = {}
    for dependency in stage.deps:
        if isinstance(dependency.hash_info.value, dict) and dependency.def_path != str(VERSIONS):
            recorded |= flatten(dependency.hash_info.value)
    if moved := find_moved_value(record["parameters"], recorded):
        yield moved
    for path, before in [*record["read"].items(), *record["written"].items()]:
        if digest(folder / path) != before:
            yield f"{path}, which was changed"


def _run(stage: Any, original: Callable[..., Any], *positions: Any, **more: Any) -> None:
    made = stage.cmd and not more.get("dry")
    if made:
        write_versions(_folder(stage))
    try:
        original(stage, *positions, **more)
    finally:
        _matched.pop(id(stage), None)
    if made:
        folder = _folder(stage)
        record = read_record(stage.addressing, folder)
        if record is not None and BY_ROW in (stage.meta or {}):  # its command has run
            hashes = {out.def_path: out.hash_info.value for out in stage.outs}
            note_made(stage.addressing, hashes, folder)
        record = record or {"parameters": {}, "read": {}}
        written = {out.def_path: digest(Path(out.fs_path)) for out in stage.outs}
        store_record(stage.addressing, record | {"written": written}, folder)


def _outs_cached(stage: Any, original: Callable[..., Any]) -> bool:
    for out in stage.outs:
        _drop_damaged(out)
    return original(stage)


def _checkout(out: Any, original: Callable[..., Any], *positions: Any, **more: Any) -> Any:
    _drop_damaged(out)
    return original(out, *positions, **more)


def _create_files(
    entries: Iterable[Any], original: Callable[..., Any], index: Any, *positions: Any, **named: Any
) -> None:
    entries = list(entries)
    if index is not None and named.get("storage", "cache") == "cache":
        for entry in entries:
            store = getattr(index.storage_map[entry.key].cache, "odb", None)
            if store is not None and entry.hash_info and not entry.hash_info.isdir:
                _drop_damaged_file(store, entry.hash_info.value, "/".join(entry.key))
    original(entries, index, *positions, **named)


def _drop_damaged(out: Any) -> None:
    if out.use_cache and out.hash_info:
        _drop_damaged_file(out.cache, out.hash_info.value, str(out))


def _drop_damaged_file(store: Any, name: str, output: str) -> None:
    if store.fs.protocol == "local":
        for path in find_damaged(store.oid_to_path, name):
            path.unlink(missing_ok=True)
            mending.say(f"DVC's cache held a damaged copy of {output}; the copy was removed")


def _load_cache(cache: Any, original: Callable[..., Any], key: str, value: str) -> Any:
    from dvc.stage.cache import _get_cache_hash

    entry = original(cache, key, value)
    if entry is None:
        return None
    names = _get_cache_hash(deepcopy(entry), key=True), _get_cache_hash(deepcopy(entry))
    if names == (key, value):
        return entry
    Path(cache._get_cache_path(key, value)).unlink(missing_ok=True)
    mending.say("DVC's run cache held a damaged entry; it was removed")
    return None


def _checksum(info: Mapping[str, Any], original: Callable[..., str]) -> str:
    return original({**info, "size": (info["size"], info["created"])})


def _build(out: Any, original: Callable[..., Any], *positions: Any, **named: Any) -> Any:
    if not (out.IS_DEPENDENCY and out.protocol == "local" and Path(out.fs_path).is_dir()):
        return original(out, *positions, **named)
    signatures, settled = _sign(out.fs_path)
    about = out.fs_path, out.hash_name
    known = _built.get(about)
    if known is None or known[0] != signatures:
        known = signatures, original(out, *positions, **named)
        _built.pop(about, None)
        if settled:
            _built[about] = known
    return known[1]


def _sign(path: str) -> tuple[str, bool]:
    """The digest of a folder's signatures, and whether a later change would show in them."""
    if _signed is not None and path in _signed:
        return _signed[path]
    found = sign(Path(path))
    taken = digest(Path(path), found), is_settled(found)
    if _signed is not None and taken[1]:
        _signed[path] = taken
    return taken


def _look_anew() -> None:
    global _signed
    _signed = {}


def _reproduce(stage: Any, original: Callable[..., Any], **more: Any) -> Any:
    from dvc.lock import LockError

    global _signed
    said = False
    while True:
        _look_anew()
        try:
            return original(stage, **more)
        except LockError as error:
            if "is busy" not in str(error):
                raise
        finally:
            _signed = None
        if not said:
            mending.say(f"waiting for another process that works on {stage.addressing}")
            said = True
        # The other one needs DVC's own lock to come to an end.
        stage.repo.lock.unlock()
        time.sleep(_PAUSE)
        stage.repo.lock.lock()


def _folder(stage: Any) -> Path:
    return Path(stage.repo.root_dir)
