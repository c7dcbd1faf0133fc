"""A stand-in for a stage: each of its outputs is a hash of the parameters, code and inputs.

In a project of stand-ins this module replaces that of every stage, so a build takes seconds. The
engines treat it like the real stages.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

from graft.common.errors import UserError
from graft.common.stage import Stage
from graft.project.launcher import select_parameters, split_options
from graft.project.parameters import flatten, read_parameters
from graft.project.pipeline import Declaration, declarations

FAILING = 0.125  # the value of dataset.max_bad with which the split fails
HELD = Path("held")  # a file with the address of the stage that goes on once the file is gone


def main(stage: Stage) -> None:
    """Writes the outputs of the stage."""
    if stage.address == "split" and stage["dataset.max_bad"] == FAILING:
        raise UserError(f"params.yaml: dataset.max_bad must be anything. Received: {FAILING}")
    while HELD.exists() and HELD.read_text() == stage.address:
        time.sleep(0.02)
    values = read_parameters()
    (declaration,) = (d for d in declarations(values) if d.address == stage.address)
    read = {path: path for path in stage.read}
    text = describe(declaration, dict(stage), dict(stage.options), Path(), read)
    for path, part in stage.written.items():
        part.write_text(f"{path}\n{text}\n", encoding="utf-8")


def describe(
    declaration: Declaration,
    parameters: Mapping[str, object],
    options: Mapping[str, str],
    folder: Path,
    read: Mapping[Path, Path | bytes],
) -> str:
    """The hash of a stage's parameters, options, code and inputs.

    Args:
        declaration: of the stage.
        parameters, options: as the stage is given them.
        folder: of the project.
        read: the inputs: where each of them is, or its content.
    """
    found = hashlib.sha256(json.dumps([declaration.address, parameters, options]).encode())
    for room in declaration.rooms:
        for file in sorted((folder / room).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    for name, content in read.items():
        if isinstance(content, Path) and content.is_dir():
            for file in sorted(content.rglob("*")):
                if file.is_file() and file.name != ".gitignore":
                    found.update(str(file.relative_to(content)).encode() + file.read_bytes())
        else:
            data = content.read_bytes() if isinstance(content, Path) else content
            found.update(str(name).encode() + data)
    return found.hexdigest()


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
