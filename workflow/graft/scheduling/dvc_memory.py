"""What DVC remembers: it is asked before a run and told after it, by the process that schedules.

All calls of DVC are here: methods of `dvc.repo.Repo` and `dvc.stage.Stage`, the run cache, the
locks, and the form of an entry of dvc.lock; `tests/engines/test_dvc_memory.py` says what is relied
on. dvc.lock itself is written here, whole and once for all stages, with the bytes that DVC writes.
"""

import contextlib
import logging
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError
from graft.integrity.damage import hash_file
from graft.integrity.ground import digest
from graft.integrity.locks import BUILDING, is_held
from graft.integrity.mending import mend_lock, say
from graft.integrity.moment import forget_false_entries
from graft.integrity.records import (
    LOCK,
    Record,
    State,
    confirm_record,
    drop_record,
    list_records,
    read_record,
    store_record,
    take_made,
)
from graft.project.pipeline import Declaration
from graft.scheduling.times import BUSY

_PAUSE = 0.3  # seconds between two looks at a lock
_IGNORED = ["size", "nfiles"]  # keys that DVC leaves out of the names of entries in its run cache
_SIMPLE = re.compile(r"[A-Za-z0-9_ ./@:+*,-]{0,60}")


class DvcMemory:
    """The memory of DVC for the project in the present folder.

    Args:
        stages: all of them, each after those whose outputs it reads.
    """

    def __init__(self, stages: Sequence[Declaration]) -> None:
        self._stages = stages
        self._claim = contextlib.ExitStack()
        self._claimed = False

    def claim(self) -> None:
        """Says to every DVC, until `release`, that this process writes the results.

        Waits for a DVC that is writing some.
        """
        if not self._claimed:
            with self._open(claiming=True):
                pass

    def release(self) -> None:
        """Gives the results free to others."""
        self._claim.close()
        self._claimed = False

    def ask(self) -> dict[str, list[Any]]:
        """What DVC says of the stages that are not up to date: by address, what changed.

        Nothing is changed by it.

        Raises:
            UserError: DVC cannot read the project, as when `dvc.lock` holds a merge conflict.
        """
        with self._open() as repo:
            found = _find_stages(repo)
            return {
                stage.address: changes
                for stage in self._stages
                if (changes := _ask(found[stage.address]))
            }

    def catch_up(self) -> dict[str, list[Any]]:
        """Brings up to date whatever needs no computing; the results are claimed from then on.

        What runs that were killed have finished is recorded. Then, stage by stage, what the run
        cache has is restored.

        Returns:
            What is stale then: by address, what changed.

        Raises:
            UserError: as `ask`.
        """
        stale: dict[str, list[Any]] = {}
        with self._open(claiming=True) as repo, _Entries() as entries:
            found = _find_stages(repo)
            self._record(repo, found, entries)
            makers = {path: stage.address for stage in self._stages for path in stage.outputs}
            for stage in self._stages:
                address, known = stage.address, found[stage.address]
                if is_held(BUILDING / address):
                    stale[address] = [BUSY]
                    continue
                changes = _ask(known) or _find_damage(known, stage)
                waits = any(makers.get(path) in stale for path in stage.inputs)
                if changes and (waits or not _restore(repo, known, stage, entries)):
                    stale[address] = changes
        return stale

    def tell(self) -> None:
        """Records what stages have finished since DVC was told last.

        Raises:
            UserError: as `ask`.
        """
        if any(list_records(state) for state in (State.FINISHED, State.LEFT_TO_DVC)):
            with self._open(claiming=True) as repo, _Entries() as entries:
                self._record(repo, _find_stages(repo), entries)

    def _record(self, repo: Any, found: Mapping[str, Any], entries: "_Entries") -> None:
        forget_false_entries()
        waiting = {*list_records(State.FINISHED), *list_records(State.LEFT_TO_DVC)}
        for stage in self._stages:
            if stage.address in waiting and not is_held(BUILDING / stage.address):
                _commit(repo, found[stage.address], stage.address, entries)

    @contextlib.contextmanager
    def _open(self, claiming: bool = False) -> Iterator[Any]:
        """DVC's repository, under its lock; with the claim, if it is asked for and is not there."""
        from dvc.exceptions import DvcException
        from dvc.lock import LockError
        from dvc.repo import Repo, lock_repo

        logging.getLogger("dvc").setLevel(logging.WARNING)
        mend_lock()
        try:
            with Repo() as repo, contextlib.ExitStack() as stack:
                said = False
                while True:
                    try:
                        held = stack.enter_context(contextlib.ExitStack())
                        held.enter_context(lock_repo(repo))
                        if claiming and not self._claimed:
                            self._claim.enter_context(_claim_results(repo, self._stages))
                            self._claimed = True
                        break
                    except LockError as error:
                        held.close()  # the other one needs it to come to an end
                        if not said:
                            say(f"waiting for DVC: {_name_blocker(error)}")
                            said = True
                        time.sleep(_PAUSE)
                yield repo
        except DvcException as error:
            raise UserError(f"DVC cannot tell what is up to date: {error}") from None


class _Entries:
    """What becomes of dvc.lock: all new entries are written at once, at the end of a block."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Any, Callable[[], None]]] = {}

    def __enter__(self) -> "_Entries":
        return self

    def add(self, address: str, entry: Any, then: Callable[[], None]) -> None:
        """Takes the entry of a stage, and what follows once it has been written."""
        self._found[address] = entry, then

    def __exit__(self, *_: object) -> None:
        if not self._found:
            return
        from dvc.utils.serialize import load_yaml

        data = load_yaml(LOCK) if LOCK.exists() else {"schema": "2.0"}
        stages = data.setdefault("stages", {})
        for address, (entry, _then) in self._found.items():
            stages[address] = entry
        text = dump_lock(data)
        if not LOCK.exists() or LOCK.read_text(encoding="utf-8") != text:
            write_text(LOCK, text)
        for _entry, then in self._found.values():
            then()


def _find_stages(repo: Any) -> dict[str, Any]:
    return {stage.addressing: stage for stage in repo.index.stages}


def _ask(stage: Any) -> list[Any]:
    """What DVC says has changed of a stage; nothing where it is up to date."""
    from dvc.lock import LockError

    try:
        return stage.status().get(stage.addressing, [])
    except LockError:
        return [BUSY]


def _commit(repo: Any, stage: Any, address: str, entries: _Entries) -> None:
    """Lets DVC record what a stage has finished, if the record still holds."""
    from dvc.exceptions import DvcException

    record = read_record(address)
    if record is None:
        return
    try:
        stage.save(run_cache=False)
        entry = _take_entry(stage)
        moved = next(_find_moved(record, entry), None)
    except (DvcException, FileNotFoundError) as error:  # an input or output is gone
        moved = str(error)
    if moved is not None:
        drop_record(address)
        say(f"{address} is not recorded and stays stale: {moved} since it ran")
        return
    repo.stage_cache.save(stage)
    stage.commit()
    entries.add(address, entry, lambda: confirm_record(address, record))


def _find_moved(record: Record, entry: Mapping[str, Any]) -> Iterator[str]:
    """What DVC has hashed, and is not what the stage has used or made."""
    yield from record.made.find_changes(take_made(entry))
    for path, name in record.made.outputs.items():
        # DVC knows a file by its time of writing; the signature has also that of its last change.
        if record.moved_signatures([path]) and hash_file(Path(path)) != name:
            yield f"{path}, which was changed"
        if take_made(entry).outputs.get(path) != name:
            yield f"{path}, which was changed"
    data = [path for path, name in record.made.dependencies.items() if name is None]
    for path in record.moved_signatures(data):
        yield f"{path}, which was changed"


def _restore(repo: Any, stage: Any, declared: Declaration, entries: _Entries) -> bool:
    """Restores the outputs of a stage from the run cache, if it has them undamaged."""
    from dvc.exceptions import DvcException
    from dvc.stage.cache import RunCacheNotFoundError

    try:
        stage.save_deps()
        _drop_damaged(repo, stage)
        repo.stage_cache.restore(stage)
        stage.save(run_cache=False)
    except (RunCacheNotFoundError, DvcException, FileNotFoundError):
        return False
    entry = _take_entry(stage)
    repo.stage_cache.save(stage)  # outputs that git keeps may have come back by dvc.lock alone
    record = _describe(declared, entry)
    entries.add(declared.address, entry, lambda: store_record(declared.address, record))
    say(f"{declared.address} is restored from DVC's cache")
    return True


def _drop_damaged(repo: Any, stage: Any) -> None:
    """Removes what is damaged of that from which a stage would be restored.

    An entry of the run cache has the hash of its content as its name, and is in a folder named by
    a hash of what the stage depends on. DVC looks at neither, nor at the bytes of files.
    """
    from dvc.utils import dict_sha256

    entry = _take_entry(stage)
    outputs = [out["path"] for out in entry["outs"]]
    key = dict_sha256({**entry, "outs": outputs}, exclude=_IGNORED)
    names = {out.hash_info.value for out in stage.outs if out.hash_info}
    for path in Path(repo.stage_cache.cache_dir, key[:2], key).glob("*"):
        from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml

        try:
            content = load_yaml(path)
            sound = dict_sha256(content, exclude=_IGNORED) == path.name
        except (YAMLFileCorruptedError, UnicodeError, TypeError, AttributeError):
            sound = False
        if sound:
            names |= {out["md5"] for out in content["outs"]}
        else:
            path.unlink(missing_ok=True)
            say("DVC's run cache held a damaged entry; it was removed")
    for name in names:
        path = Path(repo.cache.local.oid_to_path(name))
        if path.is_file() and hash_file(path) != name:
            path.unlink()
            say(f"DVC's cache held a damaged copy of an output of {stage.addressing}: removed")


def _find_damage(stage: Any, declared: Declaration) -> list[Any]:
    """Outputs that DVC takes for sound, by their time of writing, and that are others.

    They are removed, so that DVC sees it too.
    """
    record, entry = read_record(declared.address), _take_entry(stage)
    recorded = take_made(entry).outputs
    if (
        record is not None
        and record.made.outputs == recorded
        and not record.moved_signatures(recorded)
    ):
        return []
    damaged = [path for path, name in recorded.items() if hash_file(Path(path)) != name]
    for path in damaged:
        Path(path).unlink()
    if damaged:
        return [{"changed outs": dict.fromkeys(damaged, "damaged")}]
    store_record(declared.address, _describe(declared, entry))
    return []


def _describe(declared: Declaration, entry: Mapping[str, Any]) -> Record:
    """The record of a stage by what dvc.lock says of it."""
    made = take_made(entry)
    signatures = {path: digest(Path(path)) for path in made.outputs}
    return Record(made, signatures, State.RECORDED)


def _take_entry(stage: Any) -> dict[str, Any]:
    """What DVC would write into dvc.lock for a stage."""
    from dvc.stage.serialize import to_single_stage_lockfile

    return to_single_stage_lockfile(stage)


@contextlib.contextmanager
def _claim_results(repo: Any, stages: Sequence[Declaration]) -> Iterator[None]:
    """Enters the folders of results in DVC's list of what is being written.

    Raises:
        LockError: another process is writing there; it is named.
    """
    from dvc.rwlock import (
        RWLOCK_FILE,
        RWLockFileCorruptedError,
        RWLockFileFormatError,
        rwlock,
    )

    tops = {path.parts[0] for stage in stages for path in stage.outputs}
    places = [str(Path(repo.root_dir) / top) for top in sorted(tops)]
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


def _name_blocker(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if "(PID" in line]
    return lines[0] if lines else "another process holds its lock"


def dump_lock(data: Any) -> str:
    """The text that DVC writes for the content of `dvc.lock`, by libyaml where that is the same."""
    from dvc.utils.serialize import dumps_yaml
    from ruamel.yaml import YAML

    if not _is_simple(data):  # the two differ in how they quote and fold
        return dumps_yaml(data)
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    represent = yaml.representer
    represent.add_representer(OrderedDict, type(represent).represent_dict)
    text = StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def _is_simple(data: Any) -> bool:
    if isinstance(data, dict):
        return all(_is_simple(key) and _is_simple(value) for key, value in data.items())
    if isinstance(data, list):
        return all(map(_is_simple, data))
    return isinstance(data, int | float) or (
        isinstance(data, str) and _SIMPLE.fullmatch(data) is not None
    )
