"""The bridge between the two engines: what DVC knows, in the terms of Snakemake.

DVC compares contents and remembers; Snakemake compares times and schedules. When the Snakefile is
read, DVC is asked which stages are stale, and `times.py` tells Snakemake. Each rule then runs
`graft build`, and DVC decides.
"""

import math
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.images.sources import check_folder, weigh_source
from graft.integrity.harmless import check_folders
from graft.models.stacks import IMAGE_KINDS, read_stack
from graft.network.catalogue import look_up
from graft.project.parameters import check_files, read_parameters
from graft.project.pipeline import (
    count_shards,
    declarations,
    output_patterns,
    remove_leftovers,
    stage_keys,
)
from graft.scheduling.cluster_jobs import keep_jobs
from graft.scheduling.endings import (
    check_free_space,
    find_full_disk,
    hand_on_signal,
    is_build,
)
from graft.scheduling.forking.client import start_server
from graft.scheduling.freshness import DvcVerdict
from graft.scheduling.locks import join_the_running
from graft.scheduling.screen import Screen
from graft.scheduling.snakemake_screen import make_screen, say_address
from graft.scheduling.times import FLAGS, settle

_FORCED = Path(".graft/forced")
# Bytes of images that keep a core busy for as long as Snakemake takes to give it away again. With
# fewer a shard leaves the other cores to stages that can run beside it.
_WORTH_A_CORE = 25_000_000
# Of MobileNetV2, by which the needs of other networks are reckoned.
_SIDE, _PARAMETERS = 160, 2_257_984


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
        self._screen: Screen | None = None  # only where jobs are scheduled
        try:
            self._values = read_parameters()
            check_files(self._values)
            stages = declarations(self._values)
            check_folders(path for stage in stages for path in stage.outputs)
            if workflow.is_main_process:
                # Snakemake waits for the jobs that run, which get Ctrl-C only from a terminal.
                hand_on_signal(signal.SIGINT, is_build)
                keep_jobs()
                check_folder(self._values["dataset"]["path"])
                check_free_space()
                alone = join_the_running()
                if alone:
                    remove_leftovers()
                verdict = DvcVerdict(stages)
                settle(stages, verdict.stale, alone)
                verdict.keep()
                if not workflow.output_settings.dryrun:
                    self._screen = make_screen(workflow.output_settings)
        except (UserError, OSError) as error:
            message = error if isinstance(error, UserError) else find_full_disk(error)
            if message is None:
                raise
            print(f"snakemake: error: {message}", file=sys.stderr)
            sys.exit(2)
        self._stages = {stage.address: stage for stage in stages}

    def inputs(self, stage: str) -> Callable[[Iterable[str]], list[str]]:
        """An input function: the files that the stage reads, and its flag."""

        def function(wildcards: Iterable[str]) -> list[str]:
            self._leave_memory_to_dvc()
            address = say_address(stage, wildcards)
            return [*map(str, self._stages[address].inputs), str(FLAGS / address)]

        return function

    def arguments(self, stage: str) -> Callable[[Iterable[str]], str]:
        """A function of the wildcards: the arguments of `graft build`, such as `tensors@0`.

        With `--force` where the user forces the rule: DVC alone would skip a fresh stage.
        """

        def function(wildcards: Iterable[str]) -> str:
            address = say_address(stage, wildcards)
            return f"{address} --force" if self._is_forced(stage, address) else address

        return function

    def share_of_cores(self, stage: str, by_bytes: bool = False) -> Callable[[Iterable[str]], int]:
        """A function of the wildcards: the cores of one of the keys of a `foreach` stage.

        Together they have all cores that Snakemake was given, and each has one at least. It also
        works where Snakemake was given none, as with `--unlock` or `--dag`.

        Args:
            stage: its name.
            by_bytes: whether a few small images get fewer cores: their stage runs beside others.
        """
        keys, cores = stage_keys(stage), self.cores
        each, rest = divmod(cores, len(keys))

        @cache
        def find_most() -> int:
            path, most = self._values["dataset"]["path"], cores * len(keys) * _WORTH_A_CORE
            bytes_of_shard = weigh_source(path, most) / len(keys) if by_bytes else most
            return max(1, math.ceil(bytes_of_shard / _WORTH_A_CORE))

        def function(wildcards: Iterable[str]) -> int:
            (key,) = wildcards
            return max(1, min(each + (keys.index(key) < rest), find_most()))

        return function

    @property
    def cores(self) -> int:
        """The cores that Snakemake was given; one where it was given none."""
        return self._workflow.resource_settings.cores or 1

    def amount(
        self, base: int, each: int = 0, network: str = ""
    ) -> Callable[[Iterable[str], int], int]:
        """A function of the wildcards and the attempt: a resource of a job.

        Args:
            base: what a small data set takes at the first attempt; the next asks for twice as much.
            each: what is added for each shard but the first, for a stage that reads them all.
            network: how a stage that runs the network needs more for a larger one than MobileNetV2
                at 160 pixels: `memory` (MB), by its pixels and parameters, or `minutes`. Measured
                for four networks, their times are within a factor of two of this.
        """
        total = base + each * (count_shards() - 1)

        def function(wildcards: Iterable[str], attempt: int) -> int:
            return self._suit_network(total, network) * attempt

        return function

    def parameter(self, section: str, name: str) -> Any:
        """The value of a parameter, by which a rule says what it needs."""
        return self._values[section][name]

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

    def start(self) -> None:
        """Prepares for the jobs of this run, if they run on this machine and in this Python."""
        workflow = self._workflow
        elsewhere = workflow.non_local_exec or workflow.deployment_settings.deployment_method
        if workflow.is_main_process and not elsewhere:
            start_server()

    def answer(self) -> None:
        """Says what came out, if this run has made the report."""
        # With each job Snakemake sets a timer, to look for more a second later. Python would wait
        # for the last one at its end.
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.cancel()
        if self._screen is None:
            return
        self._screen.close()
        if not self._workflow.output_settings.quiet:
            self._screen.answer()

    def _suit_network(self, amount: int, network: str) -> int:
        if not network:
            return amount
        backbone = self._values["backbone"]
        stack = read_stack(backbone["stack"], IMAGE_KINDS)
        parameters = look_up(backbone["name"], stack).parameters
        pixels = max(1.0, (self._values["image"]["side"] / _SIDE) ** 2)
        if network == "memory":
            # Beside the weights their gradients, two moments and the best of them, as float32.
            return round(amount * pixels + 20 * parameters / 1e6)
        return round(amount * pixels * max(1.0, (parameters / _PARAMETERS) ** 0.5))

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

    def _leave_memory_to_dvc(self) -> None:
        # Snakemake also remembers commands, lists of inputs and interrupted jobs, but only of its
        # own runs: after `dvc repro` or `git checkout` that memory is of something else. Its
        # settings exist only once the Snakefile has been read, hence from an input function, and
        # not from a profile, which people choose for their cluster.
        from snakemake.settings.enums import RerunTrigger

        if self._workflow.is_main_process:
            self._workflow.dag_settings.rerun_triggers = frozenset({RerunTrigger.MTIME})
            self._workflow.dag.ignore_incomplete = True
