"""What DVC has recorded, compared with what a stand-in stage writes, without running anything.

`dvc.lock` and the run cache say: with this code, these parameters and these inputs a stage wrote
these outputs. All of it is named by hashes. Whoever knows the contents behind the hashes can
compute what a stand-in would have written, and so tell whether a record is true.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import standin
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import NoYaml, read_yaml_file
from graft.project.launcher import select_parameters, split_options
from graft.project.parameters import read_parameters
from graft.project.pipeline import Declaration, declarations

IGNORED = {".gitignore", "__pycache__"}


def md5(content: bytes) -> str:
    """The hash by which DVC names a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def folder_md5(files: Mapping[str, bytes]) -> str:
    """The hash by which DVC names a folder of these files, by path in the folder."""
    entries = [{"md5": md5(files[name]), "relpath": name} for name in sorted(files)]
    return md5(json.dumps(entries, sort_keys=True).encode()) + ".dir"


class Knowledge:
    """Contents by hash, of files and of folders."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: dict[str, dict[str, bytes]] = {}

    def learn(self, folder: Path, made: Mapping[str, bytes]) -> None:
        """Learns what can be an input of a stage in a project.

        Args:
            folder: of the project.
            made: the expected outputs by path.
        """
        stages = declarations(read_parameters(folder / "params.yaml"))
        outside = {path for stage in stages for path in (*stage.rooms, *stage.inputs)}
        for path in sorted(outside - {Path(name) for name in made}):
            if (folder / path).is_dir():
                self._learn_folder(_read_folder(folder / path))
            elif (folder / path).is_file():
                content = (folder / path).read_bytes()
                self.files[md5(content)] = content
        for content in made.values():
            self.files[md5(content)] = content
        for parent in sorted({Path(name).parent for name in made}):
            inside = {Path(name).name: made[name] for name in made if Path(name).parent == parent}
            self._learn_folder(inside)
            if (folder / parent).is_dir():
                self._learn_folder(_read_folder(folder / parent))

    def _learn_folder(self, files: dict[str, bytes]) -> None:
        self.folders[folder_md5(files)] = files
        self.files |= {md5(content): content for content in files.values()}

    def lies(self, stage: Declaration, entry: Mapping[str, Any]) -> list[str] | None:
        """The outputs that a record names by a hash which is not theirs; None if unknown.

        Args:
            stage: the stage that the record is of.
            entry: as in `dvc.lock`.
        """
        try:
            contents = list(self._contents(stage, entry["deps"]))
            values = entry["params"]["params.yaml"] if stage.parameters else {}
        except (KeyError, TypeError):  # a content never seen, or a damaged record
            return None
        parameters = select_parameters(stage, flatten(values))
        options = split_options(stage.command.split())
        text = standin.digest(stage, parameters, options, contents)
        return [
            out["path"]
            for out in entry["outs"]
            if out.get("md5") != md5(f"{out['path']}\n{text}\n".encode())
        ]

    def unknown(self, folder: Path) -> list[str]:
        """The stages whose records in `dvc.lock` name contents that have never been seen."""
        stages = declarations(read_parameters(folder / "params.yaml"))
        lock = read_lock(folder / "dvc.lock")
        return [stage.address for stage in stages if self.lies(stage, lock[stage.address]) is None]

    def _contents(
        self, stage: Declaration, deps: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[str, bytes]]:
        """What the stage read, in its order."""
        named = {Path(dep["path"]): dep["md5"] for dep in deps}
        for room in stage.rooms:
            inside = self.folders[named[room]]
            for name in sorted(inside, key=Path):
                yield str(room / name), inside[name]
        for path in stage.inputs:
            if path not in named:  # the folder is declared as a whole
                yield str(path), self.folders[named[path.parent]][path.name]
            elif named[path].endswith(".dir"):
                inside = self.folders[named[path]]
                for name in sorted(inside, key=Path):
                    yield name, inside[name]
            else:
                yield str(path), self.files[named[path]]


def false_records(
    folder: Path, knowledge: Knowledge, leave_out: frozenset[Path] = frozenset()
) -> list[str]:
    """The records in `dvc.lock` and the run cache that are not true, in words.

    Args:
        folder: of the project.
        knowledge: the contents that have been seen.
        leave_out: files of the run cache that the fault itself has damaged.
    """
    stages = declarations(read_parameters(folder / "params.yaml"))
    by_address = {stage.address: stage for stage in stages}
    by_command = {stage.command: stage for stage in stages}
    found = []
    for address, entry in read_lock(folder / "dvc.lock").items():
        if address in by_address:
            false = knowledge.lies(by_address[address], entry) or []
            found += [f"dvc.lock has a false record of {path}" for path in false]
    for path in sorted((folder / ".dvc/cache/runs").rglob("*")):
        entry = _read(path) if path.is_file() and path not in leave_out else {}
        if isinstance(entry, dict) and entry.get("cmd") in by_command:
            false = knowledge.lies(by_command[entry["cmd"]], entry) or []
            found += [f"the run cache has a false record of {path}" for path in false]
    return found


def read_lock(path: Path) -> dict[str, dict[str, Any]]:
    """The records of `dvc.lock` by address; none where it cannot be read."""
    document = _read(path)
    stages = document.get("stages") if isinstance(document, dict) else None
    return stages if isinstance(stages, dict) else {}


def untrue(folder: Path, fresh: Iterable[str]) -> list[str]:
    """The outputs of fresh stages that are not what the stage makes of the files that are there.

    Args:
        folder: of the project.
        fresh: addresses of stages.
    """
    values = read_parameters(folder / "params.yaml")
    flat, fresh, found = flatten(values), set(fresh), []
    for stage in declarations(values):
        if stage.address in fresh:
            read = {path: folder / path for path in stage.inputs}
            options = split_options(stage.command.split())
            parameters = select_parameters(stage, flat)
            text = standin.describe(stage, parameters, options, folder, read)
            found += [
                str(path)
                for path in stage.outputs
                if _bytes(folder / path) != f"{path}\n{text}\n".encode()
            ]
    return found


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _read(path: Path) -> Any:
    try:
        return read_yaml_file(path)
    except (NoYaml, OSError, ValueError):
        return {}


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix(): (folder / path).read_bytes()
        for path in files
        if not any(part in IGNORED or part.startswith(".part-") for part in path.parts)
        # `.dvcignore` leaves out what is written about pretrained networks.
        and not (folder.name == "pretrained" and path.suffix == ".md")
    }
