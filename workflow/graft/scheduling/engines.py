"""The bridge between the two engines: what DVC knows, in the terms of Snakemake.

DVC compares contents and remembers; Snakemake compares times and schedules. When the Snakefile is
read, DVC is asked which stages are stale, and `times.py` tells Snakemake. Each rule then runs its
stage without DVC, and DVC is told at the end of the run.
"""

import atexit
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from graft.common.environment import check_locale, print_anything
from graft.common.errors import WHERE_SOURCE, UserError, refuse
from graft.images.sources import check_folder
from graft.integrity.ground import flatten
from graft.integrity.harmless import check_folders
from graft.integrity.libraries import write_versions
from graft.integrity.locks import join_the_running
from graft.project.choices import heal_corrections, heal_shards
from graft.project.parameters import PARAMETERS, check_files, read_parameters
from graft.project.pipeline import (
    FORCE,
    check_stage,
    declarations,
    find_stages_with,
    output_patterns,
    remove_leftovers,
    stage_keys,
)
from graft.project.upstream import check_frozen
from graft.scheduling.dvc_memory import DvcMemory
from graft.scheduling.endings import check_free_space, find_outer_cause, hand_on_signal, is_stage
from graft.scheduling.fork_server import ENGINE, start_server
from graft.scheduling.freshness import KeptVerdict
from graft.scheduling.needs import Needs
from graft.scheduling.times import FLAGS, settle

_FORCED = Path(".graft/forced")


class Bridge:
    """The pipeline as the rules see it.

    Making one checks params.yaml. In the process that schedules, it also brings the times of all
    files in line with DVC's verdict. A job that reads the Snakefile again, as on a cluster, only
    looks things up.

    Args:
        workflow: Snakemake's `workflow`, which every Snakefile can name.

    A user's error ends the process with one message and status 2, with nothing touched.

    Attributes:
        needs: what jobs need of the machine.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        print_anything()
        # Jobs are the `graft` of this environment, also where that was not activated, unless
        # Snakemake makes environments for them.
        if not workflow.deployment_settings.deployment_method:
            os.environ[ENGINE] = sys.executable
        above = os.environ.get("PATH", os.defpath)
        os.environ["PATH"] = os.pathsep.join([above, str(Path(sys.executable).parent)])
        with _one_message():
            check_locale()
            _check_options(workflow)
            if workflow.is_main_process:
                heal_shards()
                heal_corrections()
            self._values = read_parameters()
            check_files(self._values)
            stages = declarations(self._values)
            check_folders(path for stage in stages for path in stage.outputs)
            self._stages = {stage.address: stage for stage in stages}
            self._memory = DvcMemory(stages)
            self.needs = Needs(workflow, self._values)
            if workflow.is_main_process:
                self._prepare()

    def _prepare(self) -> None:
        """Brings all that there is in line with DVC's memory, in the process that schedules."""
        stages = [*self._stages.values()]
        # Snakemake waits for the jobs that run, which get Ctrl-C only from a terminal.
        hand_on_signal(signal.SIGINT, is_stage)
        _check_braces(self._values["dataset"]["path"])
        check_folder(self._values["dataset"]["path"])
        check_free_space()
        check_frozen(stages, flatten(self._values))
        alone = join_the_running()
        if alone:
            remove_leftovers()
        write_versions()
        kept, stale = KeptVerdict(stages), {}
        if not kept.holds():
            atexit.register(self._memory.release)
            # Meanwhile it imports. Only with a number of jobs do they run elsewhere.
            if self._runs_jobs and self._workflow.resource_settings.nodes is None:
                self._start_server()
            stale = self._memory.catch_up() if self._runs_jobs else self._memory.ask()
        settle(stages, stale, alone)
        if not stale:
            kept.keep()
            if not set(find_stages_with("answer")).isdisjoint(self._memory.restored):
                from graft.scheduling.answer import say_answer  # it imports pandas

                print(say_answer())

    @property
    def _runs_jobs(self) -> bool:
        """Whether jobs are to run, by what Snakemake knows now: not for `-n`, `--lint`, `--dag`."""
        settings = self._workflow.output_settings
        return not settings.dryrun and self._workflow.resource_settings.cores is not None

    def inputs(self, stage: str) -> Callable[[Iterable[str]], list[str]]:
        """An input function: the files that the stage reads, and its flag."""

        def function(wildcards: Iterable[str]) -> list[str]:
            address = say_address(stage, wildcards)
            return [*map(str, self._stages[address].inputs), str(FLAGS / address)]

        return function

    def command(self, stage: str) -> Callable[[Iterable[str], int], str]:
        """A function of the wildcards and threads: the command of the stage, `graft tensors 0`.

        It has `--force` where the user forces the rule: a stage that is up to date does not run. A
        job that is counted with one core less than it uses (`Needs.share_of_cores`) is told how
        many these are.
        """

        def function(wildcards: Iterable[str], threads: int) -> str:
            address = say_address(stage, wildcards)
            force = f" {FORCE}" if self._is_forced(stage, address) else ""
            more = self.needs.count_left(stage, wildcards)
            given = f"OMP_NUM_THREADS={threads + more} " if more else ""
            return given + self._stages[address].command + force

        return function

    def parameter(self, section: str, name: str) -> Any:
        """The value of a parameter, by which a rule says what it needs."""
        return self._values[section][name]

    def outputs(self, stage: str, wildcard: str = "") -> list[Any]:
        """The files that the stage writes; with `{wildcard}` for the key of a `foreach` stage."""
        from snakemake.ioflags import update

        _check_rule(stage)
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
        _check_rule(stage)
        return "|".join(re.escape(key) for key in stage_keys(stage))

    def results(self) -> list[str]:
        """The outputs that no other stage reads: what `rule all` asks for."""
        stages = self._stages.values()
        read = {path for stage in stages for path in stage.inputs}
        return [str(path) for stage in stages for path in stage.outputs if path not in read]

    def start(self) -> None:
        """Prepares for the jobs of this run; a fork server only if they run in this Python."""
        if self._workflow.is_main_process:
            with _one_message():
                self._memory.claim()
            if not self._workflow.non_local_exec:
                self._start_server()

    def end(self) -> None:
        """Tells DVC what the jobs of this run have finished, however it ends."""
        if self._workflow.is_main_process:
            with _one_message():
                self._memory.tell()
            self._memory.release()

    def _start_server(self) -> None:
        if not self._workflow.deployment_settings.deployment_method:
            start_server(os.getpid())

    def _is_forced(self, stage: str, address: str) -> bool:
        # A job in a process of its own, as on a cluster, is always forced by Snakemake, so it asks
        # for the mark that the process with the user's options left.
        mark = _FORCED / address
        if not self._workflow.is_main_process:
            return mark.exists()
        dag, outputs = self._workflow.dag, map(str, self._stages[address].outputs)
        forced = any(rule.name == stage for rule in dag.forcerules) or any(
            path in dag.forcefiles for path in outputs
        )
        if not self._workflow.dryrun:
            if forced:
                _FORCED.mkdir(parents=True, exist_ok=True)
                mark.touch()
            else:
                mark.unlink(missing_ok=True)
        return forced


def say_address(stage: str, wildcards: Iterable[str]) -> str:
    """The stage's address in DVC, such as `tensors@0`."""
    return "@".join([stage, *wildcards])


def _check_rule(stage: str) -> None:
    with _one_message():
        check_stage(stage)


def _check_options(workflow: Any) -> None:
    """Refuses what Snakemake offers, and what would have no effect or another here.

    Raises:
        UserError: values are given by `--config` or `--configfile`.
    """
    settings = workflow.config_settings
    if given := [*(settings.config or {}), *map(str, settings.configfiles or ())]:
        raise UserError(
            f"parameters are in {PARAMETERS}: edit it, or give"
            " `uv run graft use RECIPE --set KEY=VALUE`. Received: --config or --configfile with"
            f" {', '.join(given)}"
        )


def _check_braces(path: str) -> None:
    if "{" in path or "}" in path:
        allowed = "a path without braces, in which Snakemake sees names to fill in: rename it"
        raise refuse(WHERE_SOURCE, allowed, path)


@contextlib.contextmanager
def _one_message() -> Iterator[None]:
    """Ends the process with one message and status 2 for an error that a user can mend."""
    try:
        yield
    except (UserError, OSError) as error:
        message = error if isinstance(error, UserError) else find_outer_cause(error)
        if message is None:
            raise
        print(f"snakemake: error: {message}", file=sys.stderr)
        sys.exit(2)
