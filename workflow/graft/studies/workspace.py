"""A clone of the project in which the runs of a study are made, beside the work of the user.

The clone shares the objects of git and the cache of DVC with the project. One run follows the other
in it: so what two settings share is there, or comes from the cache, and is computed once. Each run
is Snakemake's, and becomes an experiment of DVC, which the project then fetches.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError, refuse
from graft.integrity.ground import flatten
from graft.integrity.libraries import VERSIONS, find_versions
from graft.integrity.locks import is_at_work
from graft.integrity.mending import say
from graft.integrity.yaml12 import NoYaml, read_yaml
from graft.project.choices import divide, suit_number
from graft.project.parameters import PARAMETERS
from graft.project.pipeline import SHARDS
from graft.revisions.git import ask_git, list_refs, run_git
from graft.studies.declaration import PlannedRun

# What a result depends on besides the parameters and the data.
_CODE = ("Snakefile", "dvc.yaml", "workflow")
# Of it, what a study or graft itself writes.
_WRITTEN = ("workflow/studies", "workflow/recipes", str(SHARDS), str(VERSIONS))
_INPUTS = ("dataset.path", "dataset.corrections", "backbone.weights")
_SOURCES = ("manifest", "backbone")  # the stages that read what no stage has made
_PATIENCE = 20.0  # seconds for a run to end once it is told to
_PAUSE = 0.3  # seconds between two looks at a lock
_SHOWN = 12  # lines of a run that has failed


class RunFailed(Exception):
    """A run has ended with an error; the text is what it said last."""


class RunStopped(Exception):
    """The time was up while a run was not at its end."""


class StudyWorkspace:
    """The clone.

    Args:
        folder: where it is, or will be.
        cores: for a run.

    Raises:
        UserError: the project is not the top of a git repository, has no commit, or has code that
            is not committed.
    """

    def __init__(self, folder: Path, cores: int) -> None:
        self.folder = folder
        self._cores = cores
        self._same: dict[str, bool] = {}  # inputs as an experiment had them: are they the same now?
        self._commit = _check_project()
        if not (folder / ".git").is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._git("clone", "--quiet", "--shared", "--no-checkout", ".", str(folder), here=True)
        self._git("fetch", "--quiet", "origin", self._commit)
        self._git("checkout", "--quiet", "--force", "--detach", self._commit)
        for key in ("user.name", "user.email"):
            if value := ask_git("config", key):
                self._git("config", key, value)
        local = Path(".dvc/config.local")
        if local.exists():
            shutil.copyfile(local, folder / local)
        cache = subprocess.run(
            [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True
        ).stdout.strip()
        self._dvc("cache", "dir", "--local", cache)

    def make(self, run: PlannedRun, log: Path, until: float | None) -> str:
        """Makes a run, and lets the project have its experiment.

        Args:
            run: which.
            log: a file for what the engines print.
            until: when it is stopped, by `time.monotonic`; None for never.

        Returns:
            The experiment, as git refers to it.

        Raises:
            RunFailed: it ended with an error.
            RunStopped: the time was up.
        """
        self._wait_for_others()
        self._place(run)
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            command = [snakemake, "--cores", str(self._cores)]
            pipes = {"stdout": file, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
            started = subprocess.Popen(command, cwd=self.folder, start_new_session=True, **pipes)
            try:
                left = None if until is None else max(until - time.monotonic(), 0)
                status = started.wait(left)
            except subprocess.TimeoutExpired:
                raise RunStopped from None
            finally:
                _end(started)
        if status:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RunFailed("\n".join(lines[-_SHOWN:]))
        message = f"study: {run.setting.name}, seed {run.seed}"
        self._dvc("exp", "save", "--force", "--name", run.experiment, "--message", message)
        ref = f"refs/exps/{self._commit[:2]}/{self._commit[2:]}/{run.experiment}"
        self._git("fetch", "--quiet", str(self.folder), f"+{ref}:{ref}", here=True)
        return ref

    def find(self, run: PlannedRun) -> str | None:
        """The experiment of a run that says what a new one would, as git refers to it, if there is.

        That is one of these parameters, this code and these libraries, whose raw images are those
        that are there now.
        """
        refs = [ref for ref in list_refs("refs/exps") if ref.endswith(f"/{run.experiment}")]
        for ref in refs:
            same = flatten(_read(ref, str(PARAMETERS))) == run.values
            code = [f":!{path}" for path in _WRITTEN]
            moved = run_git("diff", "--quiet", ref, self._commit, "--", *_CODE, *code).returncode
            installed = find_versions(run.values["backbone.name"])
            if same and not moved and _read(ref, str(VERSIONS)) == installed:
                self._wait_for_others()
                if self._has_inputs_of(ref, run):
                    return ref
        return None

    def _wait_for_others(self) -> None:
        """Waits for a run that goes on although the program that started it was killed."""
        said = False
        while is_at_work(self.folder):
            if not said:
                say("waiting for a run of this study that is still at work")
                said = True
            time.sleep(_PAUSE)

    def _has_inputs_of(self, ref: str, run: PlannedRun) -> bool:
        """Whether what a run read that no stage has made is what is there now."""
        lock = run_git("show", f"{ref}:./dvc.lock").stdout
        stages, paths = (
            _read(ref, "dvc.lock").get("stages", {}),
            {run.values[key] for key in _INPUTS},
        )
        read = [dep for name in _SOURCES for dep in stages.get(name, {}).get("deps", ())]
        known = json.dumps([dep for dep in read if dep.get("path") in paths])
        if known not in self._same:  # DVC takes a second to say it
            self._place(run)
            (self.folder / "dvc.lock").write_bytes(lock)
            told = json.loads(self._dvc("status", "--json", *_SOURCES))
            changes = [change for stage in told.values() for change in stage]
            self._same[known] = not any("changed deps" in dict(change) for change in changes)
        return self._same[known]

    def _place(self, run: PlannedRun) -> None:
        """Puts the parameters of a run into the clone, and what they name beside them."""
        values = run.values
        for key in _INPUTS:
            self._link(Path(values[key]))
        write_text(self.folder / PARAMETERS, run.text)
        divide(suit_number(values["dataset.path"]), self.folder)

    def _link(self, path: Path) -> None:
        """Lets the clone see an input of the project that is neither in git nor kept by DVC."""
        there = self.folder / path
        if path.is_absolute() or not path.exists() or there.exists():
            return
        for above in (path, *path.parents):
            kept = above.with_name(f"{above.name}.dvc") if above.name else above
            if (self.folder / kept).is_file():
                self._dvc("checkout", "--quiet", str(kept))
                return
        there.parent.mkdir(parents=True, exist_ok=True)
        there.symlink_to(path.absolute())

    def _git(self, *arguments: str, here: bool = False) -> None:
        place = () if here else ("-C", str(self.folder))
        ended = run_git(*place, *arguments)
        if ended.returncode:
            said = ended.stderr.decode(errors="replace").strip()
            raise UserError(f"git {arguments[0]} failed in {self.folder}: {said}")

    def _dvc(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        ended = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if ended.returncode:
            said = ended.stderr.strip()
            raise UserError(f"dvc {' '.join(arguments[:2])} failed in {self.folder}: {said}")
        return ended.stdout


def _check_project() -> str:
    """The commit of the project, whose code is committed."""
    top = ask_git("rev-parse", "--show-toplevel")
    commit = ask_git("rev-parse", "--verify", "-q", "HEAD")
    if not top or Path(top) != Path.cwd().resolve() or not commit:
        allowed = "the top folder of a git repository that has a commit"
        raise refuse("the folder of a study", allowed, str(Path.cwd()))
    code = [f":!{path}" for path in _WRITTEN]
    changed = ask_git("status", "--porcelain", "--", *_CODE, *code, "data")
    changed = [line for line in changed.splitlines() if not line.startswith("??")]
    if changed:
        allowed = "committed: experiments begin from a commit (`git commit`)"
        raise refuse("what git keeps of code and data", allowed, changed[0].strip())
    return commit


def _read(ref: str, path: str) -> Mapping[str, Any]:
    try:
        values = read_yaml(run_git("show", f"{ref}:./{path}").stdout)
    except NoYaml:
        values = None
    return values if isinstance(values, dict) else {}


def _end(process: subprocess.Popen) -> None:
    """Ends a run that is still there, with all that it has started."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
            return
