"""What DVC remembers: it is asked before a run and told after it, by the process that schedules.

Before a run it says which stages are stale, and what its run cache has is restored. Jobs leave
records (`integrity/records.py`). After a run, however it has ended, each stage whose record still
holds is recorded. What a killed run had finished is recorded by the next one.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from graft.integrity.damage import hash_file
from graft.integrity.ground import digest
from graft.integrity.locks import BUILDING, is_held
from graft.integrity.mending import name_some, say
from graft.integrity.moment import forget_false_entries
from graft.integrity.records import (
    Record,
    RecordState,
    confirm_record,
    drop_record,
    list_records,
    read_record,
    store_record,
    take_made,
)
from graft.project.pipeline import Declaration
from graft.scheduling import dvc_calls
from graft.scheduling.times import BUSY


class DvcMemory:
    """The memory of DVC for the project in the present folder.

    Args:
        stages: all of them, each after those whose outputs it reads.

    Attributes:
        restored: the addresses of the stages that `catch_up` has restored.
    """

    def __init__(self, stages: Sequence[Declaration]) -> None:
        self._stages = stages
        self._claim = contextlib.ExitStack()
        self._claimed = False
        self.restored: list[str] = []

    def claim(self) -> None:
        """Says to every DVC, until `release`, that this process writes the results.

        Waits for a DVC that is writing some.
        """
        if not self._claimed:
            with self._open():
                pass

    def release(self) -> None:
        """Gives the results free to others."""
        self._claim.close()
        self._claimed = False

    def ask(self) -> dict[str, list[Any]]:
        """What DVC says of the stages that are not up to date: by address, what changed.

        Nothing is changed by it, but for a dvc.lock that cannot be read.

        Raises:
            UserError: DVC cannot read the project, as when `dvc.lock` holds a merge conflict.
        """
        with dvc_calls.open_repository() as repo:
            found = dvc_calls.find_stages(repo)
            return {
                stage.address: changes
                for stage in self._stages
                if (changes := dvc_calls.ask(found[stage.address]))
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
        with self._open() as repo, _Entries() as entries:
            found = dvc_calls.find_stages(repo)
            self._record(repo, found, entries)
            makers = {path: stage.address for stage in self._stages for path in stage.outputs}
            for stage in self._stages:
                address, known = stage.address, found[stage.address]
                if is_held(BUILDING / address):
                    stale[address] = [BUSY]
                    continue
                changes = dvc_calls.ask(known) or _find_damage(known)
                waits = any(makers.get(path) in stale for path in stage.inputs)
                entry = dvc_calls.restore(repo, known, changes) if changes and not waits else None
                if entry is not None:
                    self.restored.append(address)
                    entries.add(address, entry, partial(_note, address, entry))
                elif changes:
                    stale[address] = changes
        if self.restored:
            say(f"from DVC's cache: {name_some(self.restored)}")
        return stale

    def tell(self) -> None:
        """Records what stages have finished since DVC was told last.

        Raises:
            UserError: as `ask`.
        """
        if any(list_records(state) for state in (RecordState.FINISHED, RecordState.LEFT_TO_DVC)):
            with self._open() as repo, _Entries() as entries:
                self._record(repo, dvc_calls.find_stages(repo), entries)

    def _record(self, repo: Any, found: dict[str, Any], entries: "_Entries") -> None:
        forget_false_entries()
        waiting = {*list_records(RecordState.FINISHED), *list_records(RecordState.LEFT_TO_DVC)}
        for address in [stage.address for stage in self._stages if stage.address in waiting]:
            busy = is_held(BUILDING / address)
            if not busy and _commit(repo, found[address], address, entries):
                # It has taken over what moved: asked now, it would be up to date.
                found[address] = dvc_calls.reload(found[address])

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        """DVC's repository, once this process has claimed the results."""
        folders = sorted({path.parts[0] for stage in self._stages for path in stage.outputs})

        def claim(repo: Any) -> None:
            if not self._claimed:
                self._claim.enter_context(dvc_calls.claim_folders(repo, folders))
                self._claimed = True

        with dvc_calls.open_repository(claim) as repo:
            yield repo


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
        if self._found:
            dvc_calls.write_lock({address: entry for address, (entry, _) in self._found.items()})
        for _, then in self._found.values():
            then()


def _commit(repo: Any, stage: Any, address: str, entries: _Entries) -> bool:
    """Lets DVC record what a stage has finished, if the record still holds; whether it does not."""
    record = read_record(address)
    if record is None:
        return False
    signatures = {path: digest(Path(path)) for path in record.made.outputs}
    changed = dvc_calls.know_outputs(repo, stage, record)
    entry = f"{changed}, which was changed" if changed else dvc_calls.hash_stage(stage)
    moved = entry if isinstance(entry, str) else next(record.find_moved(take_made(entry)), None)
    if moved is not None:
        drop_record(address)
        say(f"{address} is not recorded and stays stale, by what moved since it ran: {moved}")
        return True
    dvc_calls.keep_outputs(repo, stage)
    sound = replace(record, signatures={**record.signatures, **signatures})
    entries.add(address, entry, lambda: confirm_record(address, sound))
    return False


def _find_damage(stage: Any) -> list[Any]:
    """Outputs that DVC takes for sound, by their time of writing, and that are others.

    They are removed, so that DVC sees it too.
    """
    record, entry = read_record(stage.addressing), dvc_calls.take_entry(stage)
    recorded = take_made(entry).outputs
    known = record is not None and record.made.outputs == recorded
    if known and not record.moved_signatures(recorded):
        return []
    damaged = [path for path, name in recorded.items() if hash_file(Path(path)) != name]
    for path in damaged:
        Path(path).unlink()
    if damaged:
        return [{"changed outs": dict.fromkeys(damaged, "damaged")}]
    _note(stage.addressing, entry)
    return []


def _note(address: str, entry: Mapping[str, Any]) -> None:
    """Notes what dvc.lock says of a stage, and the signatures of its outputs."""
    made = take_made(entry)
    signatures = {path: digest(Path(path)) for path in made.outputs}
    store_record(address, Record(made, signatures, RecordState.RECORDED))
