"""The bridge between the two engines: what DVC knows, in the terms of Snakemake.

DVC compares contents and remembers; Snakemake compares times and schedules. Every rule has one
input more than its stage: a flag, a file that only this module writes. When the Snakefile is read,
DVC is asked which stages are stale. The flag of a stale stage becomes newer than its outputs, so
its rule runs. The outputs of a fresh stage become as new as its inputs, as they are not after
`git checkout` or `dvc checkout`, so its rule does not. Each rule then runs
`graft build`, and DVC decides.
"""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.images.sources import check_folder
from graft.project.parameters import check_files, read_parameters
from graft.project.pipeline import Declaration, declarations, output_patterns, stage_keys

FLAGS = Path(".graft/flags")
LOGS = Path("logs")


class Bridge:
    """The pipeline as the rules see it.

    Making one checks params.yaml. In the process that schedules, it also brings the times of all
    files in line with DVC's verdict. A job that reads the Snakefile again, as on a cluster, only
    looks things up.

    Args:
        workflow: Snakemake's `workflow`, which every Snakefile can name.

    A user's error ends the process with one message and status 2, with nothing touched.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        try:
            self._values = read_parameters()
            check_files(self._values)
            stages = declarations(self._values)
            if workflow.is_main_process:
                check_folder(self._values["dataset"]["path"])
                settle(stages, stale())
        except UserError as error:
            print(f"snakemake: error: {error}", file=sys.stderr)
            sys.exit(2)
        self._stages = {stage.address: stage for stage in stages}

    def inputs(self, stage: str) -> Callable[[Iterable[str]], list[str]]:
        """An input function: the files that the stage reads, and its flag."""

        def function(wildcards: Iterable[str]) -> list[str]:
            self._leave_memory_to_dvc()
            address = self.address(stage)(wildcards)
            return [*map(str, self._stages[address].inputs), str(FLAGS / address)]

        return function

    def address(self, stage: str) -> Callable[[Iterable[str]], str]:
        """A function of the wildcards: the stage's address in DVC, such as `tensors@0`."""
        return lambda wildcards: "@".join([stage, *wildcards])

    def outputs(self, stage: str, wildcard: str = "") -> list[Any]:
        """The files that the stage writes; with `{wildcard}` for the key of a `foreach` stage."""
        from snakemake.ioflags import update

        paths = (
            output_patterns(stage, wildcard, self._values)
            if wildcard
            else map(str, self._stages[stage].outputs)
        )
        # `update` leaves the files where they are until the job runs. DVC may find that it has
        # nothing to do, and otherwise removes them itself.
        return [update(path) for path in paths]

    def keys(self, stage: str) -> str:
        """The keys of a `foreach` stage as a regular expression, for `wildcard_constraints`."""
        return "|".join(re.escape(key) for key in stage_keys(stage))

    def results(self) -> list[str]:
        """The outputs that no other stage reads: what `rule all` asks for."""
        stages = self._stages.values()
        read = {path for stage in stages for path in stage.inputs}
        return [str(path) for stage in stages for path in stage.outputs if path not in read]

    def _leave_memory_to_dvc(self) -> None:
        # Snakemake also remembers commands, lists of inputs and interrupted jobs, but only of its
        # own runs: after `dvc repro` or `git checkout` that memory is of something else. Its
        # settings exist only once the Snakefile has been read, hence from an input function, and
        # not from a profile, which people choose for their cluster.
        from snakemake.settings.enums import RerunTrigger

        if self._workflow.is_main_process:
            self._workflow.dag_settings.rerun_triggers = frozenset({RerunTrigger.MTIME})
            self._workflow.dag.ignore_incomplete = True


def stale() -> dict[str, list[Any]]:
    """What DVC says of the stages that are not up to date: by address, what changed.

    A stage that another DVC process is running is among them, since it is not up to date yet.

    Raises:
        UserError: DVC cannot read the project, as when `dvc.lock` holds a merge conflict.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    verdict: dict[str, list[Any]] = {}
    try:
        with Repo(_wait_for_lock=True) as repo, lock_repo(repo):
            for stage in repo.index.stages:
                try:
                    changes = stage.status()
                except LockError:
                    changes = {stage.addressing: ["being built by another process"]}
                verdict |= changes
    except DvcException as error:
        raise UserError(f"DVC cannot tell what is up to date: {error}") from None
    return verdict


def settle(stages: Iterable[Declaration], verdict: Mapping[str, list[Any]]) -> None:
    """Sets the times of flags and outputs so that Snakemake comes to the verdict of DVC.

    Args:
        stages: every stage, in the order of `declarations`: an output that is touched may become
            newer than the outputs of later stages, which then follow.
        verdict: the stale ones, as `stale` gives them.
    """
    FLAGS.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(exist_ok=True)
    for stage in stages:
        flag, benchmark = FLAGS / stage.address, LOGS / f"{stage.address}.tsv"
        if stage.address in verdict:
            _raise_flag(flag, verdict[stage.address], [*stage.outputs, benchmark])
        else:
            # Asked for a rule by name, Snakemake runs it where its benchmark is missing.
            for path in (benchmark, flag):
                if not path.exists():
                    path.touch()
            os.utime(flag, (0, 0))
            _renew([*stage.outputs, benchmark], [*stage.inputs, flag])


def _raise_flag(flag: Path, changes: list[Any], written: Iterable[Path]) -> None:
    # Where Snakemake knows an input's content from its last run, a newer time alone says nothing to
    # it, hence the clock in the text. The rest is for people who wonder why a stage runs.
    text = json.dumps({"stale at": time.time_ns(), "since": changes}, indent=1, ensure_ascii=False)
    flag.write_text(text + "\n", encoding="utf-8")
    raised = flag.stat().st_mtime_ns
    for path, (_, own) in _times(written):
        if own >= raised:  # clocks of two machines, or one that was set back
            os.utime(path, ns=(raised - 1_000_000_000,) * 2, follow_symlinks=False)


def _renew(written: Iterable[Path], read: Iterable[Path]) -> None:
    newest = max(time_ for _, (time_, _) in _times(read))
    for path, (_, own) in _times(written):
        if own < newest:
            os.utime(path, follow_symlinks=False)
            if path.lstat().st_mtime_ns < newest:
                os.utime(path, ns=(newest, newest), follow_symlinks=False)


def _times(paths: Iterable[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Each path that exists, with its time as an input and as an output, as Snakemake takes them.

    They differ for a link: an input is as new as the newer of it and its target, an output as it.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            own = path.lstat().st_mtime_ns
            yield path, (max(own, path.stat().st_mtime_ns), own)
