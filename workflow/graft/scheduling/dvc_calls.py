"""All calls of DVC, and all that is known of its files: what a new version of it could change.

They are methods without an underscore of `dvc.repo.Repo` and `dvc.stage.Stage`, the run cache, the
locks, and the form of an entry of dvc.lock. `tests/engines/test_dvc_calls.py` says what is relied
on. Nothing of DVC is replaced. dvc.lock itself is written here, whole and once for all stages, with
the bytes that DVC writes.
"""

import contextlib
import json
import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError
from graft.integrity.damage import hash_file
from graft.integrity.mending import mend_lock, read_entries_of_git, remove_damaged_memory, say
from graft.integrity.moment import remove_entry
from graft.integrity.records import LOCK, Record, RecordState, read_entries, read_record, take_made
from graft.integrity.verification import Recorded
from graft.integrity.yaml12 import dump_plain, is_plain
from graft.scheduling.times import BUSY

_PAUSE = 0.3  # seconds between two looks at a lock


@contextlib.contextmanager
def open_repository(claim: Callable[[Any], None] = lambda repo: None) -> Iterator[Any]:
    """DVC's repository of the present folder, under its lock; waits for another DVC.

    A dvc.lock that cannot be read is mended first, and damaged databases of DVC are removed.

    Args:
        claim: what to do as soon as the lock is held; it may raise DVC's `LockError` as well.

    Raises:
        UserError: DVC cannot read the project, as when `dvc.lock` holds a merge conflict, or a
            database was found damaged when the work had begun.
    """
    from dvc.dvcfile import Lockfile
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    said = False
    try:
        try:
            repo = Repo()
        except sqlite3.DatabaseError:
            _forget_hashes()
            repo = Repo()
        with repo:
            while True:
                with contextlib.ExitStack() as held:
                    try:
                        held.enter_context(lock_repo(repo))
                        claim(repo)
                        mend_lock(Lockfile.validate, DvcException)
                    except LockError as error:
                        blocker = str(error)
                    else:
                        yield repo
                        return
                # Without our lock, which the other one needs to come to an end.
                if not said:
                    lines = [line.strip() for line in blocker.splitlines() if "(PID" in line]
                    say(f"waiting for DVC: {(lines or ['another process holds its lock'])[0]}")
                    said = True
                time.sleep(_PAUSE)
    except DvcException as error:
        if "is not a git repository" in str(error):
            raise UserError(
                "the project must be in git, by which DVC finds its way: `git init`, then run"
                f" again. Received: {Path.cwd()}"
            ) from None
        raise UserError(f"DVC cannot tell what is up to date: {error}") from None
    except sqlite3.DatabaseError:
        _forget_hashes()
        raise UserError("DVC's memory of hashes was damaged: run the same again") from None


def _forget_hashes() -> None:
    from dvc.config import Config
    from dvc.dirs import site_cache_dir

    remove_damaged_memory(Path(site_cache_dir(Config()["core"].get("site_cache_dir"))))


def list_recorded(repo: Any) -> list[Recorded]:
    """All files that `dvc.lock` and the `.dvc` files name."""
    outs = [out for stage in repo.index.stages for out in stage.outs if out.hash_info]
    return [file for out in outs for file in _list_files(out)]


def _list_files(out: Any) -> Iterator[Recorded]:
    # What is kept in git is in the cache, too, where it can be restored from.
    path, name, locate = Path(out.def_path), out.hash_info.value, out.cache.oid_to_path
    listed = Path(locate(name))
    if not name.endswith(".dir"):
        yield Recorded(path, listed, name)
        return
    yield Recorded(None, listed, name.removesuffix(".dir"))
    try:
        entries = json.loads(listed.read_text(encoding="utf-8"))
        files = [(path / entry["relpath"], entry["md5"]) for entry in entries]
    except (OSError, ValueError, LookupError, TypeError):
        return
    yield from (Recorded(inside, Path(locate(own)), own) for inside, own in files)


def find_cached(digest: str) -> Path | None:
    """A file in DVC's cache, by its MD5; None where that has no such file, or there is no DVC."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            path = Path(repo.cache.local.oid_to_path(digest))
    except NotDvcRepoError:
        return None
    except DvcException as error:
        raise UserError(f"DVC cannot say where its cache is: {error}") from None
    return path if path.exists() and hash_file(path) == digest else None


def find_stages(repo: Any) -> dict[str, Any]:
    """DVC's stages by address."""
    return {stage.addressing: stage for stage in repo.index.stages}


def reload(stage: Any) -> Any:
    """The stage as dvc.yaml and dvc.lock have it."""
    return stage.reload()


def ask(stage: Any) -> list[Any]:
    """What DVC says has changed of a stage; nothing where it is up to date."""
    from dvc.lock import LockError

    try:
        return stage.status().get(stage.addressing, [])
    except LockError:
        return [BUSY]


def restore(repo: Any, stage: Any, changes: Sequence[Any]) -> dict[str, Any] | None:
    """Restores the outputs of a stage by dvc.lock or the run cache, if these have them undamaged.

    Returns what dvc.lock is to say; None if nothing was restored. `changes` is what `ask` says.
    """
    from dvc.exceptions import DvcException
    from dvc.stage.cache import RunCacheNotFoundError

    before = take_entry(stage)
    is_another = any(one == "changed command" or "changed deps" in one for one in changes)
    if is_another and not Path(repo.stage_cache.cache_dir).exists():
        return None  # a new clone has none, and to look, DVC hashes all inputs three times
    try:
        if not is_another:
            stage.checkout(allow_missing=True)  # in a clone, what git keeps is not in the cache
        if is_another or stage.status():
            # With `save_deps` before it, it would take what dvc.lock says for the result.
            repo.stage_cache.restore(stage)
        stage.save(run_cache=False)
    except (RunCacheNotFoundError, DvcException, FileNotFoundError):
        return None
    entry = take_entry(stage)
    if _remove_damaged(repo, entry, is_of_lock=entry == before, address=stage.addressing):
        stage.remove_outs(force=True)
        return None
    repo.stage_cache.save(stage)  # if it was dvc.lock that has named the outputs
    return entry


def hash_stage(stage: Any) -> dict[str, Any] | str:
    """Lets DVC hash what a stage needs and made: what dvc.lock is to say, or what is missing."""
    from dvc.exceptions import DvcException

    try:
        stage.save(run_cache=False)
    except (DvcException, FileNotFoundError) as error:
        return str(error)
    return take_entry(stage)


def know_outputs(repo: Any, stage: Any, record: Record) -> str | None:
    """Tells DVC the hashes of what a stage has made; an output that has changed, if one has."""
    for out in stage.outs:
        path, name = Path(out.def_path), record.made.outputs.get(out.def_path)
        # Times come first: with others later on, DVC hashes the file itself.
        info = out.fs.info(out.fs_path) if path.is_file() else None
        if not info or (record.moved_signatures([out.def_path]) and hash_file(path) != name):
            return out.def_path
        repo.state.save(out.fs_path, out.fs, type(out.hash_info)(out.hash_name, name), info)
    return None


def keep_outputs(repo: Any, stage: Any) -> None:
    """Puts the outputs of a stage into the cache, and an entry into the run cache."""
    repo.stage_cache.save(stage)
    # Not put back from the cache by a copy, as DVC would: they are there.
    stage.commit(relink=False)
    for out in stage.outs:
        if out.use_cache:
            repo.state.save_link(out.fs_path, out.fs)


def _remove_damaged(repo: Any, entry: Mapping[str, Any], is_of_lock: bool, address: str) -> bool:
    """Removes from the caches what was restored and is not what it should be; whether some was.

    DVC looks neither at the names of entries nor at the bytes of a file. `is_of_lock` says whether
    it was dvc.lock that named them, and not the run cache.
    """
    damaged = not is_attested(repo, address, entry)
    if damaged and not is_of_lock:
        for other in _place(repo, entry).parent.glob("*"):
            remove_entry(other)
    if damaged:
        which = "dvc.lock" if is_of_lock else "DVC's run cache"
        say(f"{which} held a damaged record of {address}, which is not used")
    for out in entry["outs"]:
        if hash_file(Path(out["path"])) != out["md5"]:
            Path(repo.cache.local.oid_to_path(out["md5"])).unlink(missing_ok=True)
            say(f"DVC's cache held a damaged copy of {out['path']}; the copy was removed")
            damaged = True
    return damaged


def is_attested(repo: Any, address: str, entry: Mapping[str, Any]) -> bool:
    """Whether something else than dvc.lock says the same of a stage: its record, git, or the run
    cache, where an entry is named by its content, in a folder named by what the stage depends on.
    """
    record, made = read_record(address), take_made(entry)
    known = record is not None and record.state is RecordState.RECORDED
    if known and not any(record.made.find_changes(made)):  # the same gives the same
        return record.made.outputs == made.outputs
    if _place(repo, entry).exists():
        return True
    return read_entries_of_git().get(address) == json.loads(json.dumps(entry))


def find_false_entries(repo: Any) -> dict[str, Any]:
    """What dvc.lock says of stages, by address, where nothing else says so; and what it fed."""
    entries = read_entries()
    false = {name: entry for name, entry in entries.items() if not is_attested(repo, name, entry)}
    claims = set[tuple[str, str]]()
    for address, entry in false.items():
        record = read_record(address)
        claims |= take_made(entry).outputs.items() - (record.made.outputs.items() if record else ())
    follow = (name for name in entries if claims & take_made(entries[name]).dependencies.items())
    return false | {name: entries[name] for name in follow}


def _place(repo: Any, entry: Mapping[str, Any]) -> Path:
    """Where the run cache has an entry."""
    folder = _hash_entry({**entry, "outs": [out["path"] for out in entry.get("outs", ())]})
    return Path(repo.stage_cache.cache_dir, folder[:2], folder, _hash_entry(entry))


def list_damaged_entries(repo: Any) -> list[Path]:
    """The entries of the run cache that are not what their names say."""
    from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml

    def is_sound(path: Path) -> bool:
        try:
            return _hash_entry(load_yaml(path)) == path.name
        except (YAMLFileCorruptedError, UnicodeError, TypeError, AttributeError):
            return False

    found = sorted(Path(repo.stage_cache.cache_dir).glob("*/*/*"))
    return [path for path in found if not is_sound(path)]


def _hash_entry(entry: Mapping[str, Any]) -> str:
    from dvc.utils import dict_sha256

    # What DVC leaves out of the names of entries in its run cache.
    return dict_sha256(entry, exclude=["size", "nfiles"])


def take_entry(stage: Any) -> dict[str, Any]:
    """What DVC would write into dvc.lock for a stage."""
    from dvc.stage.serialize import to_single_stage_lockfile

    return to_single_stage_lockfile(stage)


@contextlib.contextmanager
def claim_folders(repo: Any, folders: Sequence[str]) -> Iterator[None]:
    """Enters folders in DVC's list of what is being written; a LockError names who writes there."""
    from dvc.rwlock import RWLOCK_FILE, RWLockFileCorruptedError, RWLockFileFormatError, rwlock

    places = [str(Path(repo.root_dir) / folder) for folder in folders]
    hardlink = repo.config["core"].get("hardlink_lock", False)
    arguments = repo.tmp_dir, repo.fs, " ".join(sys.argv), [], places, hardlink
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(rwlock(*arguments))
        except (RWLockFileCorruptedError, RWLockFileFormatError):
            # It is read and written under a lock: the processes in it are gone.
            path = Path(repo.tmp_dir) / RWLOCK_FILE
            path.unlink(missing_ok=True)
            say(f"{path.relative_to(repo.root_dir)} was damaged and was removed")
            stack.enter_context(rwlock(*arguments))
        yield


def dump_lock(data: Any) -> str:
    """The text that DVC writes for the content of `dvc.lock`, by libyaml where that is the same."""
    from dvc.utils.serialize import dumps_yaml

    # The two differ in how they quote and fold.
    return dump_plain(data) if is_plain(data) else dumps_yaml(data)


def write_lock(entries: Mapping[str, Any]) -> None:
    """Puts entries of stages into dvc.lock, whole or not at all."""
    from dvc.utils.serialize import load_yaml

    before = LOCK.read_text(encoding="utf-8") if LOCK.exists() else None
    data = load_yaml(LOCK) if before is not None else {"schema": "2.0"}
    data.setdefault("stages", {}).update(entries)
    if (text := dump_lock(data)) != before:
        write_text(LOCK, text)
