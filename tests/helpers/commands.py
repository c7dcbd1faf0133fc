"""Many short command lines: each runs in a child of one process that has imported graft already.

A command of its own takes half a second, most of it imports; one that loads a model of Keras takes
seven. The child is a fork of a process that has no threads and has run nothing, so a command finds
what it finds in a process of its own.
"""

import atexit
import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

# Runs a command in the present folder: its exit status, and all that it shows, in order.
Command = Callable[..., tuple[int, str]]
# What is imported ahead: by every process, and by that for models of Keras.
_LIGHT = (
    *("graft.project.launcher", "graft.project.recipes", "PIL.JpegImagePlugin", "openvino"),
    *(f"graft.tools.{name}" for name in ("classify", "compare", "export", "predict", "use")),
    "graft.tools.verify",
)
_KERAS = "keras"  # graft.models.framework would start threads, which no fork has


class Screen:
    """Runs command lines in folders.

    Args:
        modules: what its process imports ahead.
    """

    def __init__(self, modules: Sequence[str] = _LIGHT) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
        self._process = subprocess.Popen([sys.executable, __file__, *modules], **pipes)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Runs `graft` in the present folder: its exit status, and all that it shows, in order."""
        status, shown, _ = self.call(Path(), *arguments, apart=False)
        return status, shown

    def call(self, folder: Path, *arguments: str, apart: bool = True) -> tuple[int, str, str]:
        """Runs `graft` in a folder, in the environment of this process.

        Args:
            folder: where.
            arguments: of the command.
            apart: whether errors are apart from the output; else the output has both, in order.

        Returns:
            Its exit status, output and errors.
        """
        request = [str(folder.absolute()), dict(os.environ), list(map(str, arguments)), apart]
        print(json.dumps(request), file=self._process.stdin, flush=True)
        status, out, errors = json.loads(self._process.stdout.readline())
        return status, out, errors

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


@cache
def open_screen(keras: bool) -> Screen:
    """The one that this process has for all its commands.

    Args:
        keras: whether it has imported Keras ahead, too.
    """
    opened = Screen((*_LIGHT, _KERAS) if keras else _LIGHT)
    atexit.register(opened.close)
    return opened


def serve(modules: Sequence[str]) -> None:
    """Answers a line of JSON with one, exit status, output and errors, each time."""
    from graft.common.environment import take_environment

    take_environment()  # as a command does before it imports anything
    for module in modules:
        importlib.import_module(module)
    for line in sys.stdin:
        folder, environment, arguments, apart = json.loads(line)
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
            child = os.fork()
            if not child:
                streams = files if apart else files[:1] * 2
                _run(folder, environment, arguments, [file.fileno() for file in streams])
            _, ended = os.waitpid(child, 0)
            for file in files:
                file.seek(0)
            texts = [file.read().decode() for file in files]
        if apart:  # as pipes are read
            texts = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
        print(json.dumps([os.waitstatus_to_exitcode(ended), *texts]), flush=True)


def _run(
    folder: str, environment: Mapping[str, str], arguments: Sequence[str], streams: Sequence[int]
) -> NoReturn:
    status = 1
    try:
        from graft.cli import main

        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
        sys.argv = ["graft", *arguments]
        # By which graft starts anew where it has to.
        sys.orig_argv = [sys.executable, "-m", *sys.argv]
        main()
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1:])
