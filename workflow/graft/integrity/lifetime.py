"""A command that another process waits for ends when that process is gone.

Without its DVC, a stage would go on, and write its outputs in the midst of the next run.
"""

import contextlib
import os
import select
import threading

_STAGE = "DVC_STAGE"  # DVC names it to the command of a stage


def is_run_by_dvc() -> bool:
    """Whether DVC has started this process to run a stage, and waits for it."""
    return _STAGE in os.environ


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
