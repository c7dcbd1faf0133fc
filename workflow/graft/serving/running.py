"""The server of `graft open`: on this machine alone, until Ctrl-C."""

import errno
import os
import signal
import socket
import sys
import webbrowser

import uvicorn

from graft.common.errors import refuse
from graft.serving.application import make_application
from graft.serving.guarding import ENTER, HOST, Guard

_LAST_PORT = 65535
_PATIENCE = 3  # seconds for what is being answered when it ends


def serve_pages(port: int, browser: bool) -> None:
    """Serves the pages for the project in the present folder.

    Args:
        port: on which; 0 for one that is free.
        browser: whether to open them in the browser of the desktop, where there is one.

    Raises:
        UserError: the port is taken or is none.
    """
    # A browser that leaves in the middle of an answer ends that answer, and not the server.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with _listen(port) as listening:
        port = listening.getsockname()[1]
        guard = Guard(make_application(), port)
        address = f"http://{HOST}:{port}{ENTER}?token="
        print(f"graft open: {address}{guard.token}\nCtrl-C ends it", flush=True)
        if browser and _has_desktop():
            webbrowser.open(address + guard.make_code())
        # No log: addresses have the token in them.
        quiet = {"log_level": "warning", "access_log": False, "server_header": False}
        plain = {"http": "h11", "ws": "none", "lifespan": "off", "proxy_headers": False}
        config = uvicorn.Config(guard, **quiet, **plain, timeout_graceful_shutdown=_PATIENCE)
        uvicorn.Server(config).run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    allowed = f"a free port, 0 to {_LAST_PORT}; 0 takes any"
    if not 0 <= port <= _LAST_PORT:
        raise refuse("--port", allowed, port)
    listening = socket.socket()
    # One that was served on a moment ago is free; one that is served on is not.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise refuse("--port", allowed, f"{port} ({os.strerror(error.errno)})") from None
    return listening


def _has_desktop() -> bool:
    """Whether a browser with windows can be opened; one in the terminal would hide what is said."""
    shown = {"DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"}.intersection(os.environ)
    return bool(shown) or sys.platform == "darwin"
