"""`dvc repro` on the screen as Snakemake's runs: a line a stage, and the answer at the end.

DVC says more with `--verbose`, and nothing with `--quiet`. Its hints on `git add` and `dvc push`
and its list of what needs no run are left out. What a stage says goes to its log in `logs/`.

Imported at each start of `dvc repro`, it imports what costs time only where it is needed.
"""

import functools
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.scheduling.forking.client import start_server
from graft.scheduling.logs import explains_itself, read_log
from graft.scheduling.screen import Screen
from graft.scheduling.times import LOGS

_ROUTINE = ("dvc.stage", "dvc.repo.reproduce", "dvc.dvcfile", "dvc.repo.scm_context")
_CACHED = "is cached - skipping run"


def show_repro() -> None:
    """Lets `dvc repro` show its stages on a screen, in this process."""
    from dvc.commands.repro import CmdDataStatus, CmdRepro

    def run(command: CmdRepro) -> int:
        from dvc.ui import ui

        stages = command.repo.reproduce(**command._common_kwargs, **command._repro_kwargs)
        if not stages:
            ui.write(CmdDataStatus.UP_TO_DATE_MSG)
        return 0

    _show(CmdRepro, run)


def show_experiment() -> None:
    """Lets `dvc exp run` show its stages on a screen, in this process."""
    from dvc.commands.experiments.run import CmdExperimentsRun

    _show(CmdExperimentsRun, CmdExperimentsRun.run)


def _show(owner: Any, run: Callable[[Any], int]) -> None:
    original = owner.run

    @functools.wraps(original)
    def shown(command: Any) -> int:
        if command.args.verbose or command.args.quiet or command.args.dry:
            return original(command)
        screen = Screen()
        told = _Told()
        for handler in logging.getLogger("dvc").handlers:
            handler.addFilter(told)
        try:
            with _stages_on(screen, told):
                status = run(command)
        except Exception:
            told.explained = screen.has_failures or _explain_settings()
            raise
        finally:
            screen.close()
        # An experiment in a folder of its own leaves the results here as they were.
        if not getattr(command.args, "tmp_dir", False):
            screen.answer()
        return status

    owner.run = shown


class _Told(logging.Filter):
    """Keeps from DVC's log what the screen shows; it stays until the process ends.

    Attributes:
        restored: whether the stage at hand came from DVC's cache.
        explained: whether the error with which DVC ends was explained already.
    """

    def __init__(self) -> None:
        super().__init__()
        self.restored = False
        self.explained = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is printed."""
        self.restored |= _CACHED in str(record.msg)
        if record.levelno == logging.INFO:
            return not record.name.startswith(_ROUTINE)
        return not (self.explained and record.exc_info)


def _explain_settings() -> bool:
    """Says what is wrong with params.yaml or the images, of which DVC knows less; whether it is."""
    from graft.images.sources import check_folder
    from graft.integrity.harmless import check_folders
    from graft.project.parameters import check_files, read_parameters
    from graft.project.pipeline import declarations

    try:
        values = read_parameters()
        check_files(values)
        check_folders(path for stage in declarations(values) for path in stage.outputs)
        check_folder(values["dataset"]["path"])
    except UserError as error:
        print(f"dvc: error: {error}", file=sys.stderr, flush=True)
        return True
    return False


@contextmanager
def _stages_on(screen: Screen, told: _Told) -> Iterator[None]:
    """Meanwhile, stages that run are on the screen, and what they say is in their logs."""
    from dvc.stage import Stage
    from dvc.stage import run as running

    run, command = Stage.run, running._run
    log: Path | None = None

    def run_stage(stage: Any, *positions: Any, **named: Any) -> None:
        nonlocal log
        if not stage.cmd:
            run(stage, *positions, **named)
            return
        address, told.restored = stage.addressing, False
        log = Path(stage.wdir) / LOGS / f"{address}.log"
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        screen.begin(address, log)
        try:
            run(stage, *positions, **named)
        except BaseException:
            # Of what is not in the log, such as a signal, DVC says something itself.
            screen.fail(address, explained=explains_itself(read_log(log)))
            raise
        screen.end(address, "from DVC's cache" if told.restored else "")

    def run_command(executable: str | None, words: str, **options: Any) -> None:
        start_server()
        with log.open("wb") as file:
            command(executable, words, stdout=file, stderr=subprocess.STDOUT, **options)

    Stage.run, running._run = run_stage, run_command
    try:
        yield
    finally:
        Stage.run, running._run = run, command
