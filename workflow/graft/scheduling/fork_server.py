"""A process that has imported what stages need, and starts each stage of a run as a fork of it.

By itself, each stage would import for most of its time: pandas 0.3 s, SciPy 0.3 s, TensorFlow
4 s. Here a process does so once, between requests. A fork is the same program with the same
arguments, folder, environment and streams as if it had been started by itself. A fork that is about
to import TensorFlow ends instead, and its client asks for one of a second process, which has it and
is made when the first of them comes. Code of graft is not imported ahead.

The process that an engine has started asks, hands on signals, and ends as the fork has ended. If it
is killed, so is the fork. The server ends with the engine. It is imported at each start of each
stage, so it imports nothing that costs time. Only on Linux; elsewhere each stage starts by itself.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from graft.common.environment import set_environment
from graft.common.keras_process import HandedOver, expect_keras_elsewhere
from graft.integrity.locks import STAGE

ENGINE = "GRAFT_ENGINE_PYTHON"  # names the Python of Snakemake to all processes below it
VARIABLE = "GRAFT_FORK_SERVER"  # names the server of a run to all processes below it
_ENDINGS = (signal.SIGINT, signal.SIGTERM)
_LARGEST = 2**17  # bytes of a request; the kernel's own limit is larger everywhere
_SECOND = "-second"
_AHEAD = [  # in the order in which stages need them
    *("numpy", "yaml", "pandas", "pandas.io.formats.csvs", "PIL.ImageOps", "PIL.JpegImagePlugin"),
    *("sqlite3", "imagehash", "tqdm", "openvino", "threadpoolctl", "scipy.sparse"),
    *("scipy.linalg", "scipy.optimize", "scipy.special"),
    *("pydantic.dataclasses", "pydantic.type_adapter", "h5py", "matplotlib.figure"),
    *("matplotlib.backends.backend_agg", "scipy.cluster.hierarchy", "PIL.WebPImagePlugin"),
    "jinja2",
]
# Does in a fork what the arguments say; of None, says whether the code is still the same.
Run = Callable[[list[str] | None], bool]


def name_server(engine: int) -> str:
    """The name of the server of an engine, by the number of its process."""
    return f"graft-{os.geteuid()}-{engine}"


def start_server(engine: int) -> None:
    """Starts a server for all stages of a run, which ends with its engine; costs milliseconds.

    Args:
        engine: the number of its process.
    """
    if sys.platform != "linux":
        return
    more = {"PYTHONIOENCODING": "utf-8:backslashreplace"}
    with contextlib.suppress(OSError), _listen(name_server(engine)) as listener:  # there is one
        arguments = listener.fileno(), engine, _describe_python()
        path = str(Path(__file__).parents[2])
        code = f"import sys; sys.path.insert(0, {path!r}); from graft.cli import serve_stages"
        code += f"; serve_stages{arguments!r}"
        subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[listener.fileno()],
            **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL),
            start_new_session=True,  # Ctrl-C is for the stages, not for it
            env={k: v for k, v in set_environment(os.environ).items() if k != STAGE} | more,
        )
        os.environ[VARIABLE] = name_server(engine)


def run_in_server(arguments: list[str], name: str) -> None:
    """Lets a server run a command, and ends this process as the command has ended.

    It returns where there is no server of this name, or where that is one of another environment.

    Args:
        arguments: of the command `graft`.
        name: of the server.
    """
    worker = _begin(arguments, name, False)
    if worker and (status := worker.recv(64)) == _SECOND.encode():
        worker = _begin(arguments, name, True)
        status = worker.recv(64) if worker else b""
    if not worker:
        return
    if status:
        os._exit(int(status))
    print("graft: error: the stage was killed; run again", file=sys.stderr)
    sys.exit(128 + signal.SIGKILL)


def _begin(arguments: list[str], name: str, with_keras: bool) -> socket.socket | None:
    """Lets a server begin with a command, and hands signals on to the process that does it.

    Args:
        arguments, name: as of `run_in_server`.
        with_keras: whether the process must have imported Keras.

    Returns:
        Where it will say how the command has ended; None where there is no such server.
    """
    # Signals that come meanwhile are for the one that does the work.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        server, answer = _ask(arguments, name, with_keras)
        if answer == _SECOND:
            server, answer = _ask(arguments, name + _SECOND, with_keras)
        worker = int(answer)
    except (OSError, ValueError):
        return None
    else:

        def hand_on(number: int, _: Any) -> None:
            try:
                os.kill(worker, number)
            except ProcessLookupError:  # it has ended, and the next one has not begun
                sys.exit(128 + number)

        for number in _ENDINGS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, hand_on)
        return server
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(
    listener: socket.socket, engine: int, python: list[Any], run: Run, has_keras: bool = False
) -> NoReturn:
    """Answers requests until the engine has ended.

    Args:
        listener: where they come from.
        engine: as `start_server` has it.
        python: what clients must have in common with it.
        run: does the work.
        has_keras: whether this process has imported Keras.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a fork but its client
    ending, ahead = os.pidfd_open(engine), [] if has_keras else _AHEAD[::-1]
    has_second = False
    while True:
        ready, _, _ = select.select([listener, ending], [], [], 0 if ahead else None)
        if ending in ready:
            os._exit(0)
        if not ready:
            _import(ahead.pop())
            continue
        client, _ = listener.accept()
        text, streams, _, _ = socket.recv_fds(client, _LARGEST, 3)
        request = json.loads(text.decode("utf-8", "surrogateescape") or "{}")
        if request.get("python") == python and _find_user(client) == os.geteuid():
            if request["with_keras"] and not has_keras:
                if not has_second:
                    _start_second(listener, client, engine, python, run)
                    has_second = True
                client.send(_SECOND.encode())
            elif run(None) and os.fork() == 0:  # a client without an answer does the work itself
                listener.close()
                if not has_keras:
                    expect_keras_elsewhere()
                _become(client, request, streams, run)
        client.close()
        for stream in streams:
            os.close(stream)


def _start_second(
    listener: socket.socket, client: socket.socket, engine: int, python: list[Any], run: Run
) -> None:
    """Makes the process with TensorFlow, by the same name and a word."""
    second = _listen(name_server(engine) + _SECOND)
    if os.fork():
        second.close()
        return
    listener.close()
    client.close()
    _import("keras")
    gc.freeze()  # what is shared with the forks is not written to by looking for garbage
    serve(second, engine, python, run, has_keras=True)


def _become(
    client: socket.socket, request: dict[str, Any], streams: list[int], run: Run
) -> NoReturn:
    """Makes this fork the process that the client would have been, and ends it."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    client.send(str(os.getpid()).encode())

    def end_with_client() -> None:
        if not client.recv(1):
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_client, daemon=True).start()
    status: int | str = 1
    try:
        run(request["arguments"])
        status = 0
    except HandedOver:
        status = _SECOND
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
    # What else Python does at its end is to take all modules apart, which nobody waits for.
    client.send(str(status).encode())
    os._exit(0 if status == _SECOND else status)


def _listen(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0{name}")
    listener.listen(128)
    return listener


def _ask(arguments: list[str], name: str, with_keras: bool) -> tuple[socket.socket, str]:
    """Sends a request; gives the way to the server, and its answer: the number of a process."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(f"\0{name}")
    if _find_user(server) != os.geteuid():
        raise OSError("the server is somebody else's")
    about = {"environment": dict(os.environ), "python": _describe_python()}
    about |= {"arguments": arguments, "with_keras": with_keras}
    text = json.dumps(about).encode("utf-8", "surrogateescape")
    if len(text) > _LARGEST:
        raise OSError("the environment is too large for a request")
    socket.send_fds(server, [text], [0, 1, 2])
    return server, server.recv(64).decode()


def _import(module: str) -> None:
    with contextlib.suppress(Exception):  # the command that needs it says what is wrong
        importlib.import_module(module)


def _find_user(peer: socket.socket) -> int:
    """The number of the user at the other end."""
    return struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]


def _describe_python() -> list[Any]:
    """What a server and its clients must have in common: the same modules, in the same folder."""
    return [sys.executable, sys.prefix, os.environ.get("PYTHONPATH"), str(Path.cwd())]
