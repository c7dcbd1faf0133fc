"""What DVC has recorded, compared with what a stand-in stage writes, without running anything.

`dvc.lock` and the run cache say: with this code, these parameters and these inputs a stage wrote
these outputs. All of it is named by hashes. Whoever knows the contents behind the hashes can
compute what a stand-in would have written, and so tell whether a record is true.
"""

import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import standin
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import NoYaml, read_yaml_file
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
                self._learn_files([(folder / path).read_bytes()])
        self._learn_files(made.values())
        for parent in sorted({Path(name).parent for name in made}):
            inside = {Path(name).name: made[name] for name in made if Path(name).parent == parent}
            self._learn_folder(inside)
            if (folder / parent).is_dir():
                self._learn_folder(_read_folder(folder / parent))

    def _learn_folder(self, files: dict[str, bytes]) -> None:
        self.folders[folder_md5(files)] = files
        self._learn_files(files.values())

    def _learn_files(self, contents: Iterable[bytes]) -> None:
        self.files |= {md5(content): content for content in contents}

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
        made = standin.rewrite(stage, flatten(values), contents)
        return [o["path"] for o in entry["outs"] if o.get("md5") != md5(made.get(o["path"], b""))]

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
            yield from self._inside(named[room], f"{room}/")
        for path in stage.inputs:
            if path not in named:  # the folder is declared as a whole
                yield str(path), self.folders[named[path.parent]][path.name]
            elif named[path].endswith(".dir"):
                yield from self._inside(named[path])
            else:
                yield str(path), self.files[named[path]]

    def _inside(self, name: str, before: str = "") -> Iterator[tuple[str, bytes]]:
        inside = self.folders[name]
        return ((before + path, inside[path]) for path in sorted(inside, key=Path))


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
    records = [("dvc.lock", *record) for record in read_lock(folder / "dvc.lock").items()]
    for path in sorted((folder / ".dvc/cache/runs").rglob("*")):
        entry = _read(path) if path.is_file() and path not in leave_out else {}
        if isinstance(entry, dict):
            records.append(("the run cache", entry.get("cmd"), entry))
    known = {name: stage for stage in stages for name in (stage.address, stage.command)}
    return [
        f"{where} has a false record of {path}"
        for where, name, entry in records
        if name in known
        for path in knowledge.lies(known[name], entry) or []
    ]


def read_lock(path: Path) -> dict[str, dict[str, Any]]:
    """The records of `dvc.lock` by address; none where it cannot be read."""
    document = _read(path)
    stages = document.get("stages") if isinstance(document, dict) else None
    return stages if isinstance(stages, dict) else {}


def untrue(folder: Path, fresh: Container[str]) -> list[str]:
    """The outputs of fresh stages that are not what the stage makes of the files that are there.

    Args:
        folder: of the project.
        fresh: addresses of stages.
    """
    return differences(folder, standin.expect(folder, fresh))


def differences(folder: Path, expected: Mapping[str, bytes]) -> list[str]:
    """The outputs that are missing or not as expected."""
    paths = {name: folder / name for name in expected}
    return [n for n, p in paths.items() if not p.is_file() or p.read_bytes() != expected[n]]


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
