"""Progress is a bar with a rate on a terminal and plain lines elsewhere."""

import os
import pty
import subprocess
import sys

CODE = """if True:
    from graft.common import progress
    progress._INTERVAL = progress._PART = 0.0
    with progress.Progress("head", 4, "steps") as shown:
        for step in range(4):
            shown.advance(note=f"loss {step}")
"""


def test_a_log_gets_plain_lines_with_a_rate() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, encoding="utf-8", check=True
    )
    lines = ended.stderr.splitlines()
    assert [line.split(",")[0] for line in lines[:4]] == [
        f"head: {step}/4 steps" for step in (1, 2, 3, 4)
    ]
    assert lines[-1].startswith("head: 4/4 steps, ") and lines[-1].endswith("steps/s, loss 3")
    assert "\r" not in ended.stderr


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", CODE], stderr=theirs, check=True)
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
    text = shown.decode()
    assert "\r" in text and "head:" in text and "steps/s" in text and "head: 4/4 steps, " in text
