"""Many short command lines: each runs in a child of one process that has imported graft already.

A command of its own takes half a second, most of it imports. The child is a fork of a process that
has no threads and has run nothing, so a command finds what it finds in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

# Runs a command in the present folder: its exit status, and all that it shows, in order.
Command = Callable[..., tuple[int, str]]


class Screen:
    """Runs command lines in folders."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
        self._process = subprocess.Popen([sys.executable, __file__], **pipes)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Runs `graft` in the present folder: its exit status, and all that it shows, in order."""
        print(json.dumps([str(Path.cwd()), arguments]), file=self._process.stdin, flush=True)
        status, shown = json.loads(self._process.stdout.readline())
        return status, shown

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def serve() -> None:
    """Answers a line of JSON, folder and arguments, with one, exit status and text, each time."""
    from graft.project import launcher, recipes  # noqa: F401
    from graft.tools import classify, compare, export, predict, use, verify  # noqa: F401

    for line in sys.stdin:
        folder, arguments = json.loads(line)
        with tempfile.TemporaryFile() as file:
            child = os.fork()
            if not child:
                _run(folder, arguments, file.fileno())
            _, ended = os.waitpid(child, 0)
            file.seek(0)
            shown = file.read().decode()
        print(json.dumps([os.waitstatus_to_exitcode(ended), shown]), flush=True)


def _run(folder: str, arguments: Sequence[str], out: int) -> None:
    from graft.cli import main

    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(out, number)
    sys.argv = ["graft", *arguments]
    status = 0
    try:
        main()
    except SystemExit as ending:
        status = ending.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
