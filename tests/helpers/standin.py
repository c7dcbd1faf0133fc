"""A stand-in for a stage: each of its outputs is a hash of the parameters, code and inputs.

In a project of stand-ins this module replaces that of every stage, so a build takes seconds. The
engines treat it like the real stages. A test can stop it at a named point (`pause`), so that a
fault hits at a chosen moment.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import graft
from graft.common.errors import UserError
from graft.common.stage import Stage
from graft.integrity.ground import flatten
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

    text = describe(declaration, dict(stage), dict(stage.options), code, read, stop)
    stop("before")
    for path, part in stage.written.items():
        part.write_text(f"{path}\n{text}\n", encoding="utf-8")
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


def describe(
    declaration: Declaration,
    parameters: Mapping[str, object],
    options: Mapping[str, str],
    folder: Path,
    read: Mapping[Path, Path | bytes],
    stop: Callable[[str], None] = lambda point: None,
) -> str:
    """The hash of a stage's parameters, options, code and inputs.

    Args:
        declaration: of the stage.
        parameters, options: as the stage is given them.
        folder: the project whose code it is.
        read: the inputs: where each of them is, or its content.
        stop: is called with the point that is reached.
    """
    return digest(
        declaration,
        parameters,
        options,
        chain(_code(declaration.rooms, folder), _data(read, stop)),
    )


def digest(
    declaration: Declaration,
    parameters: Mapping[str, object],
    options: Mapping[str, str],
    contents: Iterable[tuple[str, bytes]],
) -> str:
    """The same, of contents by name: first of the code, then of the inputs."""
    about = [declaration.address, parameters, options]
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, content in contents:
        found.update(name.encode() + content)
    return found.hexdigest()


def _code(rooms: Iterable[Path], folder: Path) -> Iterator[tuple[str, bytes]]:
    for room in rooms:
        for file in sorted((folder / room).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield str(file.relative_to(folder)), file.read_bytes()


def _data(
    read: Mapping[Path, Path | bytes], stop: Callable[[str], None]
) -> Iterator[tuple[str, bytes]]:
    stop("start")
    files: list[tuple[str, Path | bytes]] = []
    for name, content in read.items():
        if isinstance(content, Path) and content.is_dir():
            inside = (file for file in sorted(content.rglob("*")) if file.is_file())
            files += [
                (str(file.relative_to(content)), file)
                for file in inside
                if file.name != ".gitignore"
            ]
        else:
            files.append((str(name), content))
    for number, (name, content) in enumerate(files):
        if number == len(files) // 2:
            stop("half")
        yield name, content.read_bytes() if isinstance(content, Path) else content


def expect(folder: Path) -> dict[str, bytes]:
    """The expected outputs of a project of stand-ins by path, computed without an engine."""
    values = read_parameters(folder / "params.yaml")
    flat = flatten(values)
    made: dict[Path, bytes] = {}
    for stage in declarations(values):
        parameters = select_parameters(stage, flat)
        options = split_options(stage.command.split())
        read = {path: made.get(path, folder / path) for path in stage.inputs}
        text = describe(stage, parameters, options, folder, read)
        made |= {path: f"{path}\n{text}\n".encode() for path in stage.outputs}
    return {str(path): content for path, content in made.items()}
