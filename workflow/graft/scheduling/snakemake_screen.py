"""What Snakemake logs, on the screen: its file in `.snakemake/log` has the rest."""

import atexit
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.logging import LogEvent

from graft.scheduling.screen import Screen

_STREAM = "DefaultStreamHandler"  # Snakemake's own name for its handler
_NOISE = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.RUN_INFO,
    LogEvent.GROUP_INFO,
    LogEvent.SHELLCMD,
    LogEvent.JOB_STARTED,
}
# Lines without a kind of their own, by their beginning.
_NOISE_IN_WORDS = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Cannot restore ",
    "Cleaning up SLURM log files ",
    "Complete log(s): ",
    "Conda environments: ignored",
    "Elapsed time: ",
    "Execute ",
    "Exiting because a job execution failed",
    "Restored previous version of ",
    # Of Slurm's accounts: if one is needed, the submission says so.
    "No SLURM account given",
    "No account was given",
    "Guessed SLURM account",
    "Unable to guess SLURM account",
    "RuleException:\nCalledProcessError in file ",
    "SLURM run ID: ",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Singularity containers: ignored",
    "Updating checkpoint dependencies",
    "Using profile ",
    "Using shell: ",
)
_SUBMITTED = re.compile(r"Job \S+ has been submitted ")
_SOME_FAILED = "At least one job did not complete successfully"


class ScreenHandler(logging.Handler):
    """Tells a `Screen` what Snakemake logs of its jobs, and prints what else a person needs.

    Args:
        screen: where the jobs go.
        other: Snakemake's handler, which prints what is no job; None if nothing else is printed.
    """

    def __init__(self, screen: Screen, other: logging.Handler | None) -> None:
        super().__init__(logging.INFO)
        self._screen, self._other = screen, other
        self._jobs: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record of Snakemake's logger."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            if record.log:  # `all` has none, and does nothing
                address = say_address(record.rule_name, record.wildcards.values())
                self._jobs[record.jobid] = address
                self._screen.begin(address, Path(record.log[0]))
        elif event == LogEvent.JOB_FINISHED:
            if address := self._jobs.pop(record.job_id, None):
                self._screen.end(address)
        elif event == LogEvent.JOB_ERROR:
            if address := self._jobs.pop(record.jobid, None):
                self._screen.fail(address)
        elif event == LogEvent.GROUP_ERROR:
            for job in record.job_error_info:
                if address := self._jobs.pop(job["jobid"], None):
                    self._screen.fail(address)
        elif event == LogEvent.PROGRESS:
            self._screen.total = record.total - 1  # without `all`
        elif event == LogEvent.RUN_INFO:
            self._screen.total = record.stats["total"] - 1
        elif event not in _NOISE:
            text = record.getMessage()
            noise = text.startswith(_NOISE_IN_WORDS) or _SUBMITTED.match(text)
            # The last that Snakemake says.
            if _SOME_FAILED in text and self._screen.has_failures:
                self._screen.close()
            elif self._other and not noise:
                with self._screen.paused():
                    self._other.handle(record)


def say_address(stage: str, wildcards: Iterable[str]) -> str:
    """The stage's address in DVC, such as `tensors@0`."""
    return "@".join([stage, *wildcards])


def make_screen(settings: Any) -> Screen:
    """Shows the jobs of this process on a screen of ours, in place of Snakemake's own lines.

    Those who ask Snakemake for another output, as by `--verbose` or `--quiet`, get that, and only
    the message of a stage that failed besides.

    Args:
        settings: Snakemake's `OutputSettings`.
    """
    logger = logging.getLogger("snakemake.logging")
    stream = next((known for known in logger.handlers if known.name == _STREAM), None)
    asked = settings.verbose or settings.quiet or settings.printshellcmds or settings.debug_dag
    shown = stream is not None and not asked
    screen = Screen(shown)
    if shown:
        logger.removeHandler(stream)
    logger.addHandler(ScreenHandler(screen, stream if shown else None))
    atexit.register(screen.close)
    return screen
