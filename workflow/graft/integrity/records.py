"""What stages have made, and from what: the records that their runs leave, and those of DVC.

A run of a stage leaves `.graft/records/STATE/ADDRESS.json`, whichever engine has started it:
parameters, versions of libraries, code, inputs and outputs, by digest. DVC learns of it at the end
of a run of Snakemake, or by itself (`dvc repro`), and writes `dvc.lock`. Until then the record is
what is known of the stage; from then on the entry in `dvc.lock` is.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from graft.common.atomic import write_text
from graft.integrity.damage import hash_file
from graft.integrity.ground import digest, find_moved_value, flatten
from graft.integrity.libraries import VERSIONS
from graft.integrity.yaml12 import NoYaml, read_yaml

RECORDS = Path(".graft/records")
LOCK = Path("dvc.lock")
_PARAMETERS = "params.yaml"
# Where the entry of a stage begins in dvc.lock.
ENTRY = re.compile(r"^  (?=\w)", re.MULTILINE)
# What reading dvc.lock raises where it cannot be read, or has another form.
LOCK_ERRORS = (NoYaml, OSError, UnicodeError, LookupError, TypeError, AttributeError)


class Made(NamedTuple):
    """What a stage has made, and from what.

    Attributes:
        command: as dvc.yaml has it.
        parameters: plain values by dotted key.
        libraries: versions by room.
        dependencies: hashes by path, as dvc.yaml lists them; None for data that no stage makes,
            where only its signature is known.
        outputs: hashes by path.
    """

    command: str
    parameters: Mapping[str, Any]
    libraries: Mapping[str, str]
    dependencies: Mapping[str, str | None]
    outputs: Mapping[str, str]

    def find_changes(self, now: "Made") -> Iterator[str]:
        """What is another in `now` of all that the outputs were made from, in words."""
        if self.command != now.command:
            yield f"dvc.yaml: its command is {now.command!r} and was {self.command!r}"
        if moved := find_moved_value(self.parameters, now.parameters):
            yield moved
        for room in sorted({*self.libraries, *now.libraries}):
            before, found = self.libraries.get(room), now.libraries.get(room)
            if before != found:
                yield f"libraries of {room} are {found} and were {before}"
        for path in sorted({*self.dependencies, *now.dependencies}):
            sides = [side.get(path, "") for side in (self.dependencies, now.dependencies)]
            if None not in sides and sides[0] != sides[1]:
                yield f"{path}, which was changed"


class RecordState(StrEnum):
    """Who knows of a record: the name of its folder.

    `FINISHED`: DVC was not told yet. `LEFT_TO_DVC`: DVC has run the stage, and records it by
    itself. `RECORDED`: `dvc.lock` says the same.
    """

    FINISHED = "finished"
    LEFT_TO_DVC = "left_to_dvc"
    RECORDED = "recorded"


@dataclass(frozen=True)
class Record:
    """What a run of a stage leaves.

    Attributes:
        made: by it.
        signatures: of the outputs, and of data that no stage makes, by path: digests.
        state: who knows of it.
        before: what dvc.lock said of the stage when DVC started it.
    """

    made: Made
    signatures: Mapping[str, str]
    state: RecordState
    before: Made | None = None

    def moved_signatures(self, paths: Collection[str]) -> list[str]:
        """Those of the paths whose signature is another one now."""
        return [p for p in paths if self.signatures.get(p) != digest(Path(p))]

    def find_moved(self, recorded: Made) -> Iterator[str]:
        """What DVC has hashed and the stage has not used or made, in words.

        Args:
            recorded: what dvc.lock says of the stage, or is about to say.
        """
        yield from self.made.find_changes(recorded)
        for path, name in self.made.outputs.items():
            if recorded.outputs.get(path) != name:
                yield f"{path}, which was changed"
        data = [path for path, name in self.made.dependencies.items() if name is None]
        for path in self.moved_signatures(data):
            yield f"{path}, which was changed"


def store_record(address: str, record: Record) -> None:
    """Stores the record of a stage's last run, in place of any other."""
    content = asdict(record) | {"made": record.made._asdict()}
    content["before"] = record.before and record.before._asdict()
    write_text(_path(address, record.state), json.dumps(content) + "\n")
    for other in set(RecordState) - {record.state}:
        _path(address, other).unlink(missing_ok=True)


def read_record(address: str) -> Record | None:
    """The record of a stage's last run; None if there is none that can be read."""
    for state in RecordState:
        try:
            found = json.loads(_path(address, state).read_text(encoding="utf-8"))
            before = found["before"] and Made(**found["before"])
            record = Record(Made(**found["made"]), dict(found["signatures"]), state, before)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return record if all(isinstance(side, dict) for side in record.made[1:]) else None
    return None


def drop_record(address: str) -> None:
    """Forgets the record of a stage."""
    for state in RecordState:
        _path(address, state).unlink(missing_ok=True)


def list_records(state: RecordState) -> list[str]:
    """The addresses of the stages that have a record of a state."""
    return sorted(path.stem for path in (RECORDS / state).glob("[!.]*.json"))


def confirm_record(address: str, record: Record) -> None:
    """Notes that dvc.lock says what the record says."""
    store_record(address, replace(record, state=RecordState.RECORDED, before=None))


def _path(address: str, state: RecordState) -> Path:
    return RECORDS / state / f"{address}.json"


def find_known(addresses: Collection[str]) -> dict[str, Made]:
    """What is known of stages: by their records, as long as DVC was not told, else by dvc.lock.

    Raises: `LOCK_ERRORS`.
    """
    known = read_locked(addresses)
    for address in addresses:
        record = read_record(address)
        if record is not None and record.state is RecordState.FINISHED:
            known[address] = record.made
    return known


def read_locked(addresses: Collection[str] | None = None) -> dict[str, Made]:
    """What dvc.lock says of stages, or of all; the text of others is skipped.

    Raises: `LOCK_ERRORS`.
    """
    return {
        address: take_made(entry)
        for address, entry in read_entries(addresses).items()
        if addresses is None or address in addresses
    }


def read_entries(addresses: Collection[str] | None = None) -> dict[str, Any]:
    """The entries of stages in dvc.lock, as they are; none where there is no such file.

    Raises: `LOCK_ERRORS`.
    """
    try:
        text = LOCK.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    start, *entries = ENTRY.split(text)
    if addresses is None or not start.endswith("stages:\n"):  # not as DVC writes it
        return (read_yaml(text.encode()) or {}).get("stages", {})
    own = [entry for entry in entries if entry.partition(":\n")[0] in addresses]
    return read_yaml("".join(f"  {entry}" for entry in own).encode()) or {}


def take_made(entry: Mapping[str, Any]) -> Made:
    """What an entry says, of dvc.lock or as DVC would write it there."""
    params = entry.get("params", {})
    return Made(
        entry["cmd"],
        flatten(params.get(_PARAMETERS, {})),
        params.get(str(VERSIONS), {}),
        {dependency["path"]: dependency.get("md5", "") for dependency in entry.get("deps", ())},
        {output["path"]: output.get("md5", "") for output in entry.get("outs", ())},
    )


def hash_made(path: Path, maker: str) -> str:
    """The hash of a stage's output: of its record, if it was not written since, else of its bytes.

    Args:
        path: the output.
        maker: the address of its stage.
    """
    record = read_record(maker)
    known = record.made.outputs.get(str(path)) if record is not None else None
    return hash_file(path) if known is None or record.moved_signatures([str(path)]) else known


def is_sound(outputs: Mapping[str, str], address: str) -> bool:
    """Whether outputs are there, and are what a stage has made.

    Args:
        outputs: their hashes by path.
        address: of the stage.
    """
    return all(
        Path(path).is_file() and hash_made(Path(path), address) == name
        for path, name in outputs.items()
    )
