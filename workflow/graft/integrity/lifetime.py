"""A command that another process waits for ends when that process is gone.

Without its DVC, a stage would go on, and write its outputs in the midst of the next run.
"""

import contextlib
import os
import select
import threading

from graft.common.errors import UserError

# The process of DVC that waits for a stage. It is named only where DVC checks what it records.
DVC_PROCESS = "GRAFT_DVC"


def end_with_dvc() -> None:
    """Ends this process when the DVC that runs it does; a stage run by hand is let alone.

    Raises:
        UserError: this is a DVC without graft's checks, of another environment.
    """
    if "DVC_STAGE" not in os.environ:
        return
    if DVC_PROCESS not in os.environ:
        raise UserError(
            "stages must be run by the DVC of graft's own environment: `uv run dvc repro`."
            " Received: a DVC without graft's checks"
        )
    end_with(int(os.environ[DVC_PROCESS]))


def end_with(process: int) -> None:
    """Ends this process, at once and with status 1, when another one has ended.

    Args:
        process: the number of the other.
    """
    try:
        # A number can be given to a new process; this descriptor stays with the old one.
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        os._exit(1)
    except (AttributeError, OSError):  # not on Linux
        return

    def wait() -> None:
        with contextlib.suppress(OSError):
            select.select([descriptor], [], [])
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
