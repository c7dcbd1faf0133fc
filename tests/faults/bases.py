"""The built projects that trials start from, made once for all of them."""

import shutil
import threading
from pathlib import Path

import project
import standin
from project import Project

OTHER = {"head.learning_rate": 0.02, "report.smoothing": 0.5}  # the settings of a second build


class Base:
    """A project that is built, with its outputs in the cache also for the settings `OTHER`.

    Args:
        folder: where it goes.
        real: whether its stages are the real ones, which compute for a minute.
        built: whether the folder has it already.
    """

    def __init__(self, folder: Path, real: bool, built: bool = False) -> None:
        self.real = real
        self._lock = threading.Lock()
        self._folder = folder
        self._made = Project(folder) if built else None
        self._known: dict[bytes, dict[str, bytes]] = {}

    def copy(self, folder: Path) -> None:
        """Copies the project, with its history, caches and times; builds it first if need be."""
        shutil.copytree(self.build().folder, folder, symlinks=True)

    def build(self) -> Project:
        """The project, which is built where it is not yet."""
        with self._lock:
            self._made = self._made or self._make()
            return self._made

    def expect(self, folder: Path) -> dict[str, bytes]:
        """The outputs that a copy with its present parameters must have, by path.

        Those of stand-ins are computed; of real stages only those are known that `_make` built.
        """
        if not self.real:
            return standin.expect(folder)
        return self._known[(folder / "params.yaml").read_bytes()]

    def _make(self) -> Project:
        shutil.rmtree(self._folder, ignore_errors=True)  # of an attempt that failed
        made = project.make(self._folder, standins=not self.real)
        # Both engines have their memory of both settings.
        for changes, build in (({}, made.dvc), (OTHER, made.snakemake), ({}, made.dvc)):
            made.run("git", "checkout", "params.yaml")
            made.change(changes)
            build(*(["repro"] if build == made.dvc else []))
            self._known[(made.folder / "params.yaml").read_bytes()] = made.outputs()
        made.commit()
        made.snakemake()
        return made
