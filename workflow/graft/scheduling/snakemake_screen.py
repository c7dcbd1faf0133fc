"""What Snakemake logs, on the screen: its file in `.snakemake/log` has the rest."""

import logging
import re
import sys
from pathlib import Path

from snakemake.logging import ColorizingTextHandler, LogEvent
from snakemake_interface_logger_plugins.base import LogHandlerBase

from graft.scheduling.screen import Screen

_NOISE = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.GROUP_INFO,
    LogEvent.SHELLCMD,
    LogEvent.JOB_STARTED,
}
# Lines without a kind of their own, by their beginning: most of them are of its executors.
_NOISE_IN_WORDS = tuple(Path(__file__).with_name("noise.txt").read_text("utf-8").splitlines())
_SUBMITTED = re.compile(r"Job \S+ has been submitted ")
_SOME_FAILED = "At least one job did not complete successfully"


class LogHandler(LogHandlerBase):
    """Shows the jobs of this process on a `Screen`, and prints what else a person needs.

    Those who ask Snakemake for another output, as by `--verbose` or `--quiet`, get that, and only
    the message of a stage that failed besides.
    """

    writes_to_stream = True
    writes_to_file = False
    has_filter = has_formatter = False  # Snakemake gives it its own
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        asked = (settings.verbose, settings.quiet, settings.printshellcmds, settings.debug_dag)
        self._shown = not any((*asked, settings.dryrun))
        self._screen = Screen(self._shown)
        self._open = True
        self._jobs: dict[int, str] = {}
        self._other = ColorizingTextHandler(
            nocolor=settings.nocolor, stream=sys.stdout if settings.dryrun else sys.stderr
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record of Snakemake's logger."""
        if not self._tell(record) or not self._shown:
            text = record.getMessage()
            words = text.replace("\n", " ")
            noise = words.startswith(_NOISE_IN_WORDS) or _SUBMITTED.match(words)
            # The last that Snakemake says.
            if _SOME_FAILED in text and self._screen.has_failures:
                self._screen.close()
            elif not (noise and self._shown):
                self._other.setFormatter(self.formatter)
                with self._screen.paused():
                    self._other.handle(record)

    def close(self) -> None:
        """Says at the end why stages failed, or what came out, once."""
        self._screen.close()
        if self._open and not self.common_settings.quiet:
            self._screen.answer()
        self._open = False
        super().close()

    def _tell(self, record: logging.LogRecord) -> bool:
        """Tells the screen; gives whether a record is of what the screen shows."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            if record.log:  # `all` has none, and does nothing
                address = Path(record.log[0]).stem
                self._jobs[record.jobid] = address
                self._screen.begin(address, Path(record.log[0]))
        elif event == LogEvent.JOB_FINISHED:
            if address := self._jobs.pop(record.job_id, None):
                self._screen.end(address)
        elif event == LogEvent.JOB_ERROR:
            self._fail(record.jobid)
        elif event == LogEvent.GROUP_ERROR:
            for job in record.job_error_info:
                self._fail(job["jobid"])
        elif event == LogEvent.PROGRESS:
            self._screen.total = record.total - 1  # without `all`
        elif event == LogEvent.RUN_INFO:
            self._screen.total = record.stats["total"] - 1
        else:
            return event in _NOISE
        return True

    def _fail(self, job: int) -> None:
        if address := self._jobs.pop(job, None):
            self._screen.fail(address)
