"""What the screen shows while stages run: a line for each, a bar, and why one failed."""

import sys
from pathlib import Path

import pytest

from cases import read_cases
from graft.common.progress import say_duration
from graft.scheduling.logs import find_reason, find_remarks, find_summary
from images import call
from terminal import show_on_terminal

CASES = read_cases(__file__)

DONE = CASES["done"]
REFUSED = CASES["refused"]
BUG = CASES["bug"]
KILLED = CASES["killed"]


@pytest.mark.parametrize("log, address, summary", CASES["summaries"])
def test_a_line_says_how_a_stage_ended(log: str, address: str, summary: str) -> None:
    assert find_summary(log, address) == summary


def test_what_a_person_should_see_is_found() -> None:
    damaged = "graft: DVC's cache held a damaged copy of x; the copy was removed"
    grey, found = find_remarks(f"{DONE}{damaged}\n")
    assert (grey, found) == ("tensors 0: warning: 3 images are grey", damaged)


ALL = "All that it said is in logs/x.log"
REASONS = {REFUSED: REFUSED.splitlines()[1:], BUG: [*BUG.splitlines()[1:], ALL]}
REASONS |= {KILLED: [*KILLED.splitlines(), ALL], "": [ALL]}


@pytest.mark.parametrize("log", REASONS)
def test_the_reason_is_the_message_of_the_stage(log: str) -> None:
    assert find_reason(log, Path("logs/x.log")).splitlines() == REASONS[log]


@pytest.mark.parametrize("seconds, said", CASES["times"])
def test_a_time_is_said_as_people_read_it(seconds: float, said: str) -> None:
    assert say_duration(seconds) == said


CODE = """if True:
    import sys, time
    from pathlib import Path
    from graft.scheduling import screen
    screen._REFRESH = 0.01
    shown = screen.Screen()
    shown.total = 2
    log = Path(sys.argv[1])
    log.write_text("finetune: 3/6 steps, 12 steps/s, 3 s left\\n")
    shown.begin("finetune", log)
    time.sleep(0.5)
    log.write_text("finetune: well\\n")
    shown.end("finetune")
    log.write_text("graft head: error: not so. Received: 1\\n")
    shown.begin("head", log)
    shown.fail("head")
    shown.close()
"""


def test_a_terminal_gets_lines_and_a_bar_and_last_the_reason(tmp_path: Path) -> None:
    text = show_on_terminal([sys.executable, "-c", CODE, str(tmp_path / "x.log")])
    assert "1/2 finetune: 3/6 steps, 12 steps/s, 3 s left" in text
    assert text.splitlines()[-1] == "graft head: error: not so. Received: 1"


def test_a_log_gets_lines_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "x.log")]
    first, second, reason = call(*command, check=True).stderr.splitlines()
    assert first.startswith("finetune ") and first.endswith(" s  well")
    assert second.split() == ["head", "failed"]
    assert reason == "graft head: error: not so. Received: 1"
