"""Progress is a bar with a rate on a terminal and plain lines elsewhere."""

import re
import sys

from images import call
from terminal import show_on_terminal

CODE = """if True:
    from graft.common import progress
    progress._INTERVAL = progress._PART = 0.0
    with progress.Progress("head", 4, "steps") as shown:
        for step in range(4):
            shown.advance(note=f"loss {step}")
"""


def test_a_log_gets_plain_lines_with_a_rate() -> None:
    ended = call(sys.executable, "-c", CODE, check=True)
    lines = ended.stderr.splitlines()
    steps = [f"head: {step}/4 steps" for step in (1, 2, 3, 4)]
    assert [line.split(",")[0] for line in lines[:4]] == steps
    assert lines[-1].startswith("head: 4/4 steps, ") and lines[-1].endswith("steps/s, loss 3")
    assert "\r" not in ended.stderr


def test_the_estimate_leaves_out_what_comes_before_the_first_unit() -> None:
    """The first step of a training waits for a minute, and the others take milliseconds."""
    code = CODE.replace("shown:\n", "shown:\n        import time; time.sleep(1)\n", 1)
    code = code.replace("4, ", "400, ").replace("range(4)", "range(5)")
    ended = call(sys.executable, "-c", code, check=True)
    first, *others = ended.stderr.splitlines()
    assert "left" not in first
    assert all(float(re.search(r"([\d.]+) s left", line)[1]) < 50 for line in others)


def test_a_terminal_gets_a_bar() -> None:
    text = show_on_terminal([sys.executable, "-c", CODE])
    assert "\r" in text and "head:" in text and "steps/s" in text and "head: 4/4 steps, " in text
