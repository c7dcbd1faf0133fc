"""A copy of the project that is small enough to be built again and again.

project/
  Snakefile dvc.yaml params.yaml workflow/ …   as in the repository
  data/raw/tiny/<class>/NN.png                 3 classes of 14 pictures
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import standin
from background import Run
from cases import read_cases
from graft.project.launcher import find_module
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations, stage_names

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SOURCES = (
    *(".dvc/.gitignore", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitignore"),
    *("Snakefile", "data/corrections.csv", "dvc.yaml", "environment.yml", "profiles", "workflow"),
)
DEFAULTS = "workflow/defaults.yaml"
TINY = read_cases(__file__)["tiny"]

# What Snakemake and DVC say where nothing is to be done.
FRESH = "Nothing to be done"
UP_TO_DATE = "Data and pipelines are up to date."

STANDIN_CODE = {
    "integrity/harmless.py": (
        (ROOT / "workflow/graft/integrity/harmless.py").read_text(encoding="utf-8")
        + "\n\ndef check_arrays(paths):\n    pass\n"
    ),
    "project/labelled.py": "def check_labels(stage, flat):\n    pass\n",
    "scheduling/answer.py": "def say_answer():\n    return 'answer'\n",
}


class Project:
    """A project in a folder of its own, driven by the commands that people use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands = BIN  # where `graft` is
        self.extra: dict[str, str] = {}  # of the environment

    def environment(self) -> dict[str, str]:
        """What a command finds in its environment."""
        environment = os.environ | {
            "PATH": os.pathsep.join([str(self.commands), str(BIN), os.environ["PATH"]]),
            # The package is this copy's: it is what the copy's stages depend on.
            "PYTHONPATH": str(self.folder / "workflow"),
            # Where DVC keeps what it knows of times and contents, by default for the whole machine.
            "DVC_SITE_CACHE_DIR": f"{self.folder}.site",
            # What graft keeps for all projects of a user.
            "XDG_CACHE_HOME": f"{self.folder}.cache",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "test@example.org" for who in ("AUTHOR", "COMMITTER")},
        }
        environment.pop("SNAKEMAKE_PROFILE", None)
        return environment | self.extra

    def run(self, *command: str, status: int | None = 0) -> str:
        """Runs a command in the project and returns what it prints, output and errors together.

        Args:
            command: the command and its arguments.
            status: the exit status that it must end with; None if any will do.
        """
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
        ended = subprocess.run(command, cwd=self.folder, env=self.environment(), **pipes)
        if status is not None and ended.returncode != status:
            raise AssertionError(f"{' '.join(command)} → {ended.returncode}:\n{ended.stdout}")
        return ended.stdout

    def start(self, *command: str) -> Run:
        """Starts a command in the background."""
        return Run(command, self.folder, self.environment())

    def hold(self, address: str, point: str = "half") -> Path:
        """Makes a stand-in wait at a point, in runs that start from now on.

        Args:
            address, point: as `standin.pause` has them.

        Returns:
            a file: it waits until that is removed.
        """
        pauses = self.extra.setdefault(standin.PAUSES, f"{self.folder}.pauses")
        Path(pauses).mkdir(exist_ok=True)
        mark = Path(pauses) / f"{address}@{point}"
        mark.touch()
        return mark

    def snakemake(self, *arguments: str, status: int = 0) -> str:
        """Runs Snakemake, with 2 cores by default."""
        cores = () if "--cores" in arguments else ("--cores", "2")
        return self.run("snakemake", *cores, *arguments, status=status)

    def dvc(self, *arguments: str, status: int = 0) -> str:
        """Runs DVC."""
        return self.run("dvc", *arguments, status=status)

    def commit(self) -> str:
        """Commits everything and returns the commit's name."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "state")
        return self.run("git", "rev-parse", "HEAD").strip()

    def values(self) -> dict[str, Any]:
        """The parameters, nested."""
        return read_parameters(self.folder / "params.yaml")

    def change(self, changes: Mapping[str, Any]) -> None:
        """Sets parameters by dotted key and leaves the rest of params.yaml as it is."""
        path = self.folder / "params.yaml"
        text = path.read_text(encoding="utf-8")
        for key, value in changes.items():
            section, name = key.split(".")
            before = rf"(^{section}:.*\n(?:(?:  .*)?\n)*?  {name}:)"
            line = re.compile(before + r" +\S.*?(?=\s+#|$)", re.M)
            text, count = line.subn(lambda found, new=value: f"{found[1]} {json.dumps(new)}", text)
            assert count == 1, key
        path.write_text(text, encoding="utf-8")

    def copy(self, folder: Path) -> "Project":
        """The same project in another folder, with its history, caches and times."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def outputs(self) -> dict[str, bytes]:
        """Every declared output by path."""
        return {
            str(path): (self.folder / path).read_bytes()
            for stage in declarations(self.values())
            for path in stage.outputs
        }


def make(folder: Path, changes: Mapping[str, Any] = TINY, standins: bool = False) -> Project:
    """A project that has never been built, committed to git once.

    Args:
        folder: where it goes; it must not exist.
        changes: the parameters that differ from the defaults, by dotted key.
        standins: whether its stages only compute hashes.
    """
    ignored = (p for top in ("data", "reports") for p in (ROOT / top).rglob(".gitignore"))
    for name in (*SOURCES, *(path.relative_to(ROOT) for path in ignored)):
        source, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, copy)
    shutil.copyfile(ROOT / DEFAULTS, folder / "params.yaml")
    if standins:
        for stage in stage_names():
            module = find_module(stage).replace(".", "/")
            shutil.copyfile(standin.__file__, folder / "workflow" / f"{module}.py")
        # They import nothing that a server would have to import ahead.
        declared = folder / "dvc.yaml"
        text = declared.read_text(encoding="utf-8")
        declared.write_text(text.replace("tensorflow: true", "tensorflow: false"), encoding="utf-8")
        # Their files are hashes: there are no arrays or labels to check, and no results to tell.
        for module, code in STANDIN_CODE.items():
            (folder / "workflow/graft" / module).write_text(code, encoding="utf-8")
    (folder / "data/pretrained").mkdir(parents=True, exist_ok=True)
    (folder / "data/pretrained/.gitkeep").touch()
    for label in range(3):
        for number in range(14):
            add_image(folder, label, number)
    project = Project(folder)
    project.change(changes)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.commit()
    return project


def add_image(folder: Path, label: int, number: int) -> None:
    """Draws stripes, across, along or aslant by class, shifted and under noise of its own."""
    y, x = np.mgrid[:32, :32]
    phase = (y, x, x + y)[label] + number
    noise = np.random.default_rng([label, number]).integers(0, 60, (32, 32, 3))
    pixels = 180 * (phase // 4 % 2)[..., None] + noise
    path = folder / "data/raw/tiny" / "abc"[label] / f"{number:02}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def reached(mark: Path) -> int | None:
    """The id of the process that waits at a point, as `Project.hold` makes it; None before."""
    said = mark.with_name(f"{mark.name}.reached")
    return int(said.read_text().split()[0]) if said.exists() else None


def assert_right(made: Project) -> None:
    """All outputs of stand-ins are what they must be, and neither engine finds anything to do."""
    assert made.outputs() == standin.expect(made.folder)
    assert_fresh(made)


def assert_fresh(made: Project) -> None:
    """Neither engine finds anything to do."""
    assert FRESH in made.snakemake()
    assert made.dvc("status").strip().endswith(UP_TO_DATE)


def runs(printed: str) -> set[str]:
    """The stages whose own command ran, by the screen, or by what DVC printed."""
    line = r"^(\w+)(?:@\w+)? +(?:failed|\d[\d.]* (?:s|min \d+ s))(?:  (.*))?$"
    shown = re.findall(line, printed, re.MULTILINE)
    ran = {stage for stage, said in shown if said != "unchanged"}
    return ran | set(re.findall(r"^> graft (\w+)", printed, re.MULTILINE))
