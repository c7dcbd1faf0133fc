"""Starts the commands of a run as forks of a process that has imported what they need.

A run of either engine starts dozens of processes, each for one stage. Importing DVC takes 0.3
seconds, pandas as long, TensorFlow four. Here a process imports them once, between requests. Each
command is a fork of it: the same program with the same arguments, folder, environment and streams
as if it had been started by itself. Stages that need TensorFlow are forks of a second process,
which is made when the first of them comes.

`client` is the other side: the process that the engine has started asks, hands on signals, and
ends as its command has ended. If it is killed, so is the command; if the server is, so are all. The
server ends with the process that has started it, once no command is left.

Code of graft is not imported ahead, but for this and the checks that DVC imports; the command line
looks whether any has changed since the server was started.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from graft.integrity.lifetime import end_with
from graft.scheduling.forking.client import ENDINGS, find_user

Run = Callable[[list[str]], None]

# A test compares these with what the stages import.
TENSORFLOW_STAGES = frozenset({"backbone", "views", "head", "finetune"})
_TENSORFLOW = ("tensorflow", "keras")
_DVC = (
    "dvc.cli.parser",
    "dvc.repo",
    "dvc.commands.repro",
    "dvc.stage.cache",
    "dvc.repo.stage",
    "dvc.repo.artifacts",
    "dvc.repo.datasets",
    "dvc.repo.metrics",
    "dvc.repo.plots",
    "psutil",
    "dvc.data_cloud",
    "dvc_data.hashfile.db.local",
    "dvc.utils.strictyaml",
    "ruamel.yaml",
    "scmrepo.git",
    "graphlib",
)
# Imported ahead one by one, in the order in which stages need them.
IMPORTED_AHEAD = (
    "numpy",
    "yaml",
    "pandas",
    "pandas.io.formats.csvs",
    "PIL.ImageOps",
    "PIL.JpegImagePlugin",
    "imagehash",
    "tqdm",
    "openvino",
    "threadpoolctl",
    "scipy.sparse",
    "scipy.optimize",
    "sklearn.utils",
    "sklearn.linear_model",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "jinja2",
)
_SIZE = 2**18  # bytes of a message at most


class ForkServer:
    """Forks a process for each request, and tells its client how it has ended.

    Args:
        run: does in a fork what its arguments say.
        python: the clients' `describe_python()`; others are not answered.
        ahead: the modules to import between requests, once there has been one.
    """

    def __init__(self, run: Run, python: list[str], ahead: Sequence[str] = IMPORTED_AHEAD) -> None:
        self._run, self._python = run, python
        self._ahead = deque(ahead)
        self._selector = selectors.DefaultSelector()
        self._clients: dict[int, socket.socket] = {}  # by the number of the process
        self._heavy: socket.socket | None = None  # the way to the process with TensorFlow
        self._sources = 0  # where requests come from
        self._asked = False
        # What a terminal sends, clients hand on. Blocked, it waits for a fork to unblock it.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._ended, self._end = socket.socketpair()  # readable when a child has ended
        self._ended.setblocking(False)
        self._end.setblocking(False)
        signal.set_wakeup_fd(self._end.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._ended, selectors.EVENT_READ, self._reap)

    def add_listener(self, listener: socket.socket) -> None:
        """Takes requests from a socket until the standard input is closed."""

        def close(_: Any) -> None:
            self._drop(sys.stdin)
            self._drop(listener)
            self._sources -= 1
            listener.close()

        self._sources += 1
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(sys.stdin, selectors.EVENT_READ, close)

    def add_server(self, above: socket.socket) -> None:
        """Takes requests that another server hands on, until that one ends."""
        self._sources += 1
        self._selector.register(above, selectors.EVENT_READ, self._take_over)

    def serve(self) -> None:
        """Answers until no more requests can come, and all commands have ended."""
        while self._sources or self._clients:
            events = self._selector.select(0 if self._asked and self._ahead else None)
            for key, _ in events:
                if key.fileobj.fileno() >= 0:  # an event before may have closed it
                    key.data(key.fileobj)
            if not events:
                _import(self._ahead.popleft())

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        if find_user(client) != os.geteuid():
            client.close()
            return
        text, streams, _, _ = socket.recv_fds(client, _SIZE, 3)
        self._take(client, text, streams)

    def _take_over(self, above: socket.socket) -> None:
        text, descriptors, _, _ = socket.recv_fds(above, _SIZE, 4)
        if text:
            self._take(socket.socket(fileno=descriptors[0]), text, descriptors[1:])
        else:
            self._drop(above)
            self._sources -= 1

    def _take(self, client: socket.socket, text: bytes, streams: list[int]) -> None:
        request = json.loads(text.decode("utf-8", "surrogateescape")) if text else {}
        # A client that gets no answer does the work itself.
        if request.get("python") == self._python:
            self._asked = True
            with contextlib.suppress(OSError):  # the client, or the other server, is gone
                name = request["arguments"][0]
                if name in TENSORFLOW_STAGES and _TENSORFLOW[0] not in sys.modules:
                    self._hand_on(client, text, streams)
                else:
                    self._start(client, request, streams)
        for stream in streams:
            os.close(stream)
        if client not in self._clients.values():
            client.close()

    def _hand_on(self, client: socket.socket, text: bytes, streams: list[int]) -> None:
        """Lets the process with TensorFlow answer; makes it if there is none."""
        if self._heavy is None:
            self._heavy, below = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if os.fork() == 0:
                self._forget()
                client.close()
                for stream in streams:
                    os.close(stream)
                # What TensorFlow says of its start must not get among the lines of a run.
                os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
                os.environ["KERAS_BACKEND"] = "tensorflow"
                for module in _TENSORFLOW:
                    _import(module)
                server = ForkServer(self._run, self._python, ())
                server.add_server(below)
                server.serve()
                os._exit(0)
            below.close()
        try:
            socket.send_fds(self._heavy, [text], [client.fileno(), *streams])
        except OSError:
            self._heavy.close()  # it was killed; the next request makes another one
            self._heavy = None

    def _start(self, client: socket.socket, request: dict[str, Any], streams: list[int]) -> None:
        if request["arguments"][0] == "build":
            for module in _DVC:
                _import(module)
        client.send(b"accepted")
        gc.freeze()  # what is shared with the forks is not written to by looking for garbage
        number = os.fork()
        if number == 0:
            client.close()
            self._forget()
            _become(request, streams, self._run)
        self._clients[number] = client
        self._selector.register(client, selectors.EVENT_READ, lambda _: self._hear(number))

    def _hear(self, number: int) -> None:
        """A signal for a command, or the end of its client."""
        try:
            text = self._clients[number].recv(64)
        except OSError:
            text = b""
        if not text:
            self._drop(self._clients[number])
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, int(text) if text else signal.SIGKILL)

    def _reap(self, _: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ended.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                number, status = found
                client = self._clients.pop(number, None)
                if client is not None:
                    self._drop(client)
                    with contextlib.suppress(OSError):
                        client.send(str(status).encode())
                    client.close()

    def _drop(self, source: Any) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(source)

    def _forget(self) -> None:
        """Closes in a fork what is the server's."""
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not sys.stdin:
                key.fileobj.close()
        for client in self._clients.values():
            client.close()
        self._selector.close()
        signal.set_wakeup_fd(-1)
        self._end.close()
        if self._heavy is not None:
            self._heavy.close()


def _import(module: str) -> None:
    with contextlib.suppress(Exception):  # the command that needs it says what is wrong
        importlib.import_module(module)


def _become(request: dict[str, Any], streams: list[int], run: Run) -> NoReturn:
    """Makes this fork the process that the client would have been, and ends it."""
    server = os.getppid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # Signals of a terminal reach it through its client alone, and so once.
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in ENDINGS:
        handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[1:] = request["arguments"]
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        # Lines of errors and of a terminal come at once.
        buffering = 1 if descriptor == 2 or os.isatty(descriptor) else -1
        stream = open(descriptor, "w", buffering, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    status = 1
    try:
        end_with(server)
        run(request["arguments"])
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    # What else Python does at its end is to take all modules apart, which nobody waits for.
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(status)
