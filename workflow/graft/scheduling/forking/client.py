"""A command of `graft` that asks the fork server of its run to do the work.

It is imported at each start of each stage, so it imports nothing that costs time.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

# Names the server of a run to all processes below it.
VARIABLE = "GRAFT_FORK_SERVER"
# What ends a command, and is handed on to the process that does its work.
ENDINGS = (signal.SIGINT, signal.SIGTERM)
_LARGEST = 2**17  # bytes of a request; the kernel's own limit is larger everywhere
_running: list[object] = []


def start_server() -> None:
    """Starts a fork server that ends with this process, for all commands below it.

    It costs this process some milliseconds; the server imports nothing before the first request.
    Elsewhere than on Linux, each command starts by itself.
    """
    if sys.platform != "linux" or _running:
        return
    name = f"graft-{secrets.token_hex(16)}"
    package = str(Path(__file__).parents[3])
    above = os.environ.get("PYTHONPATH")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0{name}")
        listener.listen(128)
        number = listener.fileno()
        server = subprocess.Popen(
            [sys.executable, "-c", f"from graft.cli import serve; serve({number}, {above!r})"],
            pass_fds=[number],
            stdin=subprocess.PIPE,  # closed when this process ends
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (package, above)))},
        )
    _running.append(server)
    os.environ[VARIABLE] = name


def describe_python(path: str | None) -> list[str | None]:
    """What a server and its clients must have in common: the same modules by the same names.

    Args:
        path: the value of PYTHONPATH.
    """
    return [sys.executable, sys.prefix, path]


def run_in_server(arguments: list[str]) -> None:
    """Lets the server of this run do a command, and ends this process as the command has ended.

    It returns where there is no server, or where that is not one for this environment.

    Args:
        arguments: of the command `graft`.
    """
    name = os.environ.get(VARIABLE)
    if name is None:
        return
    # Signals that come meanwhile are for the one that does the work.
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        server.connect(f"\0{name}")
        if find_user(server) != os.geteuid():
            return
        socket.send_fds(server, [_describe(arguments)], [0, 1, 2])
        first = server.recv(64)
    except OSError:
        return
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
    if first != b"accepted":
        return

    def hand_on(number: int, _: object) -> None:
        with contextlib.suppress(OSError):  # a server that is gone is noticed below
            server.send(str(number).encode())

    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hand_on)
    _end_as(server.recv(64))


def find_user(peer: socket.socket) -> int:
    """The number of the user at the other end."""
    size = struct.calcsize("3i")
    return struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[1]


def _describe(arguments: list[str]) -> bytes:
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "arguments": arguments,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "python": describe_python(os.environ.get("PYTHONPATH")),
        "umask": umask,
        "ignored": [n for n in ENDINGS if signal.getsignal(n) is signal.SIG_IGN],
    }
    text = json.dumps(request).encode("utf-8", "surrogateescape")
    if len(text) > _LARGEST:
        raise OSError("the environment is too large for a request")
    return text


def _end_as(status: bytes) -> NoReturn:
    """Ends this process by the wait status of another, by the same signal if it was one."""
    if not status:
        print("graft: error: the fork server of this run was killed; run again", file=sys.stderr)
        sys.exit(1)
    code = os.waitstatus_to_exitcode(int(status))
    if code < 0:
        with contextlib.suppress(OSError):  # not every signal can be handled
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
