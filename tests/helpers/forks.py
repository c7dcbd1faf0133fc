"""A server of forks, as an engine starts one, for the commands that a test starts itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from graft.scheduling.fork_server import VARIABLE, start_server


@contextmanager
def serve_forks(folder: Path) -> Iterator[str]:
    """Lets commands be forks of one process that has imported what they need, while it is open.

    By itself each command that needs TensorFlow imports for six seconds. Which commands are forks
    is up to the test: those with `graft.scheduling.fork_server.VARIABLE` in their environment.

    Args:
        folder: where they start.

    Yields:
        the value of the variable: the name of the server.
    """
    before = os.environ.get(VARIABLE)
    # This process plays the engine: the server ends when it ends.
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as engine:
        try:
            with chdir(folder):
                start_server(engine.pid)
            name = os.environ.pop(VARIABLE, "")  # none but on Linux
            if before is not None:
                os.environ[VARIABLE] = before
            yield name
        finally:
            engine.kill()
