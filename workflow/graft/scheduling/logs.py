"""What the log of a stage says: how it ended, in a few words, and why, if it failed."""

import re
from collections.abc import Iterator
from pathlib import Path

_ERROR = re.compile(r"^graft [\w -]+: error: ")
_TRACEBACK = "Traceback (most recent call last):"
_WAITING = re.compile(r"^graft \w+: (waiting .*)")
_PROGRESS = re.compile(r"^\w[\w ]*: (?P<said>(?P<done>\d+)(/(?P<total>\d+))? \w+, .*)")
_TAIL = 8192  # bytes from the end of a log that are read for its last line
_LEFT = 10  # lines of a log that says nothing of its end


def find_summary(log: str, address: str) -> str:
    """The last thing that a stage says of its result, without its name.

    Args:
        log: the whole text of it.
        address: of the stage, such as `tensors@0`, whose lines begin `tensors 0: `.

    Returns:
        Such as `412/412 images, 684 images/s`, or `unchanged`; empty if it is mute.
    """
    title = re.escape(address.replace("@", " "))
    lines = re.findall(rf"^{title}: (?!warning: )(.+)$", log, flags=re.MULTILINE)
    return lines[-1] if lines else ""


def find_remarks(log: str) -> Iterator[str]:
    """The lines of a log that a person should see although nothing failed."""
    for line in log.splitlines():
        if ": warning: " in line or line.startswith("graft: "):
            yield line


def find_reason(log: str, path: Path) -> str:
    """Why a stage failed: its own message, or the traceback of a bug and where the whole log is.

    Args:
        log: the text of the stage's log.
        path: where the log is.
    """
    lines = log.splitlines()
    if starts := [n for n, line in enumerate(lines) if _ERROR.match(line)]:
        return "\n".join(lines[starts[-1] :]).strip()
    bugs = [n for n, line in enumerate(lines) if line == _TRACEBACK]
    first = bugs[0] if bugs else max(0, len(lines) - _LEFT)
    return "\n".join([*lines[first:], f"All that it said is in {path}"])


def read_log(path: Path) -> str:
    """The text of a log; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_progress(path: Path) -> tuple[str, int, int | None] | None:
    """How far a stage is, by the last line of its log.

    Returns:
        What it said, such as `120/468 steps, 12 steps/s`; the units done; their number, if it is
        known. None where the last line says nothing of that.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    last = lines[-1] if lines else ""
    if waiting := _WAITING.match(last):
        return waiting[1], 0, None
    found = _PROGRESS.match(last)
    if not found:
        return None
    return found["said"], int(found["done"]), int(found["total"]) if found["total"] else None
