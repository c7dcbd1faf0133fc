"""What a command shows on a terminal."""

import os
import pty
import subprocess
import termios
from collections.abc import Sequence


def show_on_terminal(command: Sequence[str]) -> str:
    """Runs a command whose standard error is a terminal of 40 lines, 100 wide: what it shows."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    subprocess.run(command, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed, and all has been read
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return shown.decode()
