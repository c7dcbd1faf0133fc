"""`graft` for a test: runs a stage in a folder with only the declared inputs.

An undeclared input is missing there, and an undeclared output is an error.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cases import read_cases
from graft.project.parameters import read_parameters
from graft.project.pipeline import PACKAGE, declarations

STARTER = read_cases(__file__)["starter"]
MANIFEST = Path("data/manifest.csv")


def place(source: Path, target: Path) -> None:
    """Copies a file or folder, and makes the folder above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def files(folder: Path) -> set[Path]:
    """All files below a folder but compiled ones, logs and the launcher's own."""
    found = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    return {path for path in found if path.parts[0] not in {".graft", "logs"}}


def main(arguments: list[str]) -> None:
    """Runs the stage with this command, and takes over its outputs."""
    command = ["graft", *arguments]
    values = read_parameters()
    (stage,) = (s for s in declarations(values) if s.command.split() == command)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The manifest has a hash of every file of the images, which stand for themselves.
        images = {Path(values["dataset"]["path"])} if MANIFEST in stage.inputs else set()
        for path in {*map(Path, STARTER), *stage.rooms, *stage.inputs, *images}:
            place(path, folder / path)
        before = files(folder)
        environment = {"PYTHONPATH": str(folder / PACKAGE.parent)}
        subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, check=True)
        written = files(folder) - before
        if written != set(stage.outputs):
            sys.exit(f"{stage.address} wrote {sorted(written)}, not {sorted(stage.outputs)}")
        for path in stage.outputs:
            place(folder / path, path)


if __name__ == "__main__":
    main(sys.argv[1:])
