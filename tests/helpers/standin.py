"""A stand-in for a stage: each of its outputs is a hash of the parameters, code and inputs.

In a project of stand-ins this module replaces that of every stage, so a build takes seconds. The
engines treat it like the real stages. A test can stop it at a named point (`pause`), so that a
fault hits at a chosen moment.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import graft
from graft.common.errors import UserError
from graft.common.stage import Stage
from graft.integrity.ground import CODE_ENDS, flatten
from graft.integrity.locks import is_run_by_dvc
from graft.project.launcher import select_parameters, split_options
from graft.project.parameters import read_parameters
from graft.project.pipeline import Declaration, declarations

FAILING = 0.125  # the value of dataset.max_bad with which the split fails
PAUSES = "GRAFT_TEST_PAUSES"  # the environment variable that names the folder of `pause`
POINTS = ("start", "half", "before", "after")


def main(stage: Stage) -> None:
    """Writes the outputs of the stage."""
    if stage.address == "split" and stage["dataset.max_bad"] == FAILING:
        raise UserError(f"params.yaml: dataset.max_bad must be anything. Received: {FAILING}")
    values = read_parameters()
    (declaration,) = (d for d in declarations(values) if d.address == stage.address)
    read = {path: path for path in stage.read}
    # The code that runs is that which was imported, wherever the stage runs.
    code = Path(graft.__file__).parents[2]

    def stop(point: str) -> None:
        pause(stage.address, point)

    contents = chain(_code(declaration.rooms, code), _data(read, stop))
    made = write(declaration, dict(stage), dict(stage.options), contents)
    stop("before")
    for path, part in stage.written.items():
        part.write_bytes(made[str(path)])
    stop("after")


def pause(address: str, point: str) -> None:
    """Waits while the file `<address>@<point>` is in the folder that the environment names.

    The points are `start` (with parameters and code read), `half` (of the inputs read), `before`
    (the outputs are written) and `after`. A file `….reached` with the id of the process, and 1 if
    DVC runs it, says that it waits. Without the variable nothing happens.
    """
    folder = os.environ.get(PAUSES)
    if not folder:
        return
    mark = Path(folder) / f"{address}@{point}"
    if mark.exists():
        part = mark.with_name(f"{mark.name}.part")
        part.write_text(f"{os.getpid()} {int(is_run_by_dvc())}", encoding="utf-8")
        part.replace(mark.with_name(f"{mark.name}.reached"))
    while mark.exists():
        time.sleep(0.005)


def write(
    declaration: Declaration,
    parameters: Mapping[str, object],
    options: Mapping[str, str],
    contents: Iterable[tuple[str, bytes]],
) -> dict[str, bytes]:
    """The outputs of a stage by path: a hash of all that it is given, and their path.

    Args:
        declaration: of the stage.
        parameters, options: as the stage is given them.
        contents: by name, first of its code, then of its inputs.
    """
    about = [declaration.address, parameters, options]
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, content in contents:
        found.update(name.encode() + content)
    text = found.hexdigest()
    return {str(path): f"{path}\n{text}\n".encode() for path in declaration.outputs}


def rewrite(
    declaration: Declaration, flat: Mapping[str, Any], contents: Iterable[tuple[str, bytes]]
) -> dict[str, bytes]:
    """The same, as a stage is given all parameters by dotted key."""
    parameters = select_parameters(declaration, flat)
    return write(declaration, parameters, split_options(declaration.command.split()), contents)


def _code(rooms: Iterable[Path], folder: Path) -> Iterator[tuple[str, bytes]]:
    for room in rooms:
        for file in sorted((folder / room).rglob("*")):
            if file.is_file() and file.suffix in CODE_ENDS and not file.name.startswith("."):
                yield str(file.relative_to(folder)), file.read_bytes()


def _data(
    read: Mapping[Path, Path | bytes], stop: Callable[[str], None] = lambda point: None
) -> Iterator[tuple[str, bytes]]:
    """The contents of inputs, each of them a path or a content."""
    stop("start")
    files: list[tuple[str, Path | bytes]] = []
    for name, content in read.items():
        if isinstance(content, Path) and content.is_dir():
            inside = (file for file in sorted(content.rglob("*")) if file.is_file())
            names = [(str(file.relative_to(content)), file) for file in inside]
            # As `.dvcignore` has it, and as no stage reads what a killed one has left.
            files += [
                (name, file)
                for name, file in names
                if file.name != ".gitignore" and ".part-" not in name
            ]
        else:
            files.append((str(name), content))
    for number, (name, content) in enumerate(files):
        if number == len(files) // 2:
            stop("half")
        yield name, content.read_bytes() if isinstance(content, Path) else content


def expect(folder: Path, only: Container[str] | None = None) -> dict[str, bytes]:
    """The outputs that a project of stand-ins must have by path, computed without an engine.

    Args:
        folder: of the project.
        only: addresses of stages; what each of them makes of the files that are there. Without
            them, of all stages, each of what those before it make.
    """
    values = read_parameters(folder / "params.yaml")
    flat, made = flatten(values), dict[str, bytes]()
    for stage in declarations(values):
        if only is None or stage.address in only:
            before = made if only is None else {}
            read = {path: before.get(str(path), folder / path) for path in stage.inputs}
            made |= rewrite(stage, flat, chain(_code(stage.rooms, folder), _data(read)))
    return made
