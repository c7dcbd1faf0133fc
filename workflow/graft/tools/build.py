"""Bring one stage up to date by DVC: the command of each of Snakemake's rules.

It runs `dvc repro --single-item` in this process: DVC decides by content whether the stage must
run, restores an earlier result, and records a new one.
"""

import logging
import signal
import sys
from pathlib import Path

from graft.common.errors import refuse
from graft.integrity.within_dvc.checks import hash_ahead
from graft.project.pipeline import stage_keys, stage_names
from graft.scheduling.endings import FullDiskWatch, hand_on_signal
from graft.scheduling.locks import one_at_a_time
from graft.tools.options import CommandParser

_INTERRUPTED = 252  # DVC's own exit status for Ctrl-C


def main(arguments: list[str]) -> None:
    """`graft build STAGE [--force]`: ends the process with the exit status of DVC.

    Raises:
        UserError: `dvc.yaml` has no stage of this address, such as `tensors@0`; the disk is full.
    """
    parser = CommandParser("build", __doc__.partition("\n")[0], "graft build tensors@0")
    parser.add_argument("stage", metavar="STAGE", help="its address, such as head or tensors@0")
    parser.add_argument(
        "--force", action="store_true", help="run it even if nothing that it depends on has changed"
    )
    given = parser.parse_args(arguments)
    addresses = [
        f"{stage}@{key}" if key else stage
        for stage in stage_names()
        for key in stage_keys(stage) or ("",)
    ]
    if given.stage not in addresses:
        raise refuse("a stage", f"one of {', '.join(addresses)}", given.stage)

    from dvc.cli import main as dvc

    # As in `dvc` itself: a remote that closes its connection must not end the process.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # DVC ends in order where its stage does, or where a signal is a KeyboardInterrupt.
    for number in (signal.SIGINT, signal.SIGTERM):
        hand_on_signal(number, lambda command: True)
    watch = FullDiskWatch()
    logging.getLogger("dvc").addHandler(watch)
    force = ["--force"] if given.force else []
    # Where Snakemake was killed, its last job still runs. DVC would refuse to run the stage twice.
    waiting = f"graft build: waiting for another process that builds {given.stage}"
    with one_at_a_time(Path(".graft/building") / given.stage, waiting):
        if len(stage_keys(given.stage.partition("@")[0])) > 1:  # others are at work beside it
            hash_ahead(given.stage)
        status = dvc(["--wait-for-lock", "repro", "--single-item", *force, given.stage])
    if watch.message:
        raise watch.message
    sys.exit(130 if status == _INTERRUPTED else status)
