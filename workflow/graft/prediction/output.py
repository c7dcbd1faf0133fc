"""How answers are written: lines for people, a CSV, or a JSON object a line."""

import csv
import json
import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TextIO

from graft.common.errors import refuse
from graft.common.numbers import say_percent
from graft.decoder import reasons
from graft.images import files
from graft.prediction.answers import Answer

# The value of `--output` for a CSV on standard output.
STANDARD_OUTPUT = "-"
# How what graft writes begins, by the end of its name. Nothing else is written over.
_STARTS = {
    ".csv": re.compile(rb"path,label,(confidence|answer)\b"),
    ".jsonl": re.compile(rb'\{"path": '),
    ".html": re.compile(rb"<!DOCTYPE html>.*<title>graft: ", re.DOTALL),
}
_LONGEST = 2048  # bytes of these
# Bytes of the longest name of a file, with room for that of the folder where it is made.
_LONGEST_NAME = 255 - len(".part-")

# Takes one answer after the other.
Writer = Callable[[Answer], None]


def is_unsure(answer: Answer, limit: float | None) -> bool:
    """Whether a person should look at a photo: the best confidence is below the limit."""
    return limit is not None and bool(answer.labels) and answer.labels[0][1] < limit


def write_lines(file: TextIO, count: int, limit: float | None, unknown: bool = False) -> Writer:
    """A line a photo: its path, the labels with confidences, and whether they are unsure.

    In front of what is none of the classes it says so.

    Names are as their makers chose them, so what would move the cursor, or turn the line round, is
    written as an escape.
    """

    def write(answer: Answer) -> None:
        labels = [f"{one_line(label)} {show_confidence(value)}" for label, value in answer.labels]
        said = ", ".join(labels) or f"cannot be read: {one_line(answer.reason)}"
        mark = "  (unsure)" if is_unsure(answer, limit) else ""
        if answer.unknown:
            said = f"none of these, most like {said}"
        print(f"{one_line(answer.path)}  {said}{mark}", file=file)

    return write


def one_line(text: str) -> str:
    r"""A text with an escape, such as `\\n`, in place of each character that is not printable."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show_confidence(confidence: float) -> str:
    """A confidence for people, such as `98.7 %`."""
    return say_percent(confidence) if confidence >= 0.0005 else "<0.1 %"


def write_csv(file: TextIO, count: int, limit: float | None, unknown: bool = False) -> Writer:
    """A CSV with a header: path, label, confidence; label_2, confidence_2 …; unsure; unknown,
    distance; reason.

    Args:
        file: opened without a translation of line ends.
        count: how many labels a photo has.
        limit: below which an answer is unsure; without it there is no such column.
        unknown: whether there are columns of what is none of the classes.
    """
    more = [f"{name}_{place}" for place in range(2, count + 1) for name in ("label", "confidence")]
    marks = ["unsure"] if limit is not None else []
    marks += ["unknown", "distance"] if unknown else []
    header = csv.writer(file, lineterminator="\n")
    header.writerow(["path", "label", "confidence", *more, *marks, "reason"])

    def write(answer: Answer) -> None:
        cells = [cell for pair in answer.labels for cell in pair] or [""] * (2 * count)
        known = {
            "unsure": "yes" if is_unsure(answer, limit) else "no",
            "unknown": "yes" if answer.unknown else "no",
            "distance": answer.distance,
        }
        row = [answer.path, *cells, *(known[m] if answer.labels else "" for m in marks)]
        row.append(answer.reason)
        # The module knows that a name with a line feed needs quotes, but not one with a return.
        quoting = csv.QUOTE_ALL if any("\r" in str(cell) for cell in row) else csv.QUOTE_MINIMAL
        csv.writer(file, lineterminator="\n", quoting=quoting).writerow(row)

    return write


def check_place(option: str, name: str, ends: Collection[str], more: str = "") -> None:
    """Checks that a file may have this name, whatever is there.

    Args:
        option: which names it, such as `--output`.
        name: the file.
        ends: how its name may end.
        more: what else the option takes, for the message.

    Raises:
        UserError: the name ends otherwise or is too long, or its folder is missing.
    """
    path, shown = Path(name), files.printable(name)
    if path.suffix.lower() not in ends:
        raise refuse(option, f"a file {' or '.join(ends)}{more}", shown)
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise refuse(option, f"a file whose name has at most {_LONGEST_NAME} bytes", shown)
    # Unlike methods of Path, these answer no for a name that is too long.
    if os.path.isdir(name) or not os.path.isdir(path.parent):  # noqa: PTH112
        raise refuse(option, "a file in a folder that is there", shown)


def check_output(option: str, name: str, ends: Collection[str], read: Sequence[str]) -> None:
    """Checks that a file may be written.

    Args:
        option: which names it, such as `--output`.
        name: the file.
        ends: how its name may end, each a key of `_STARTS`.
        read: what the command reads.

    Raises:
        UserError: the name ends otherwise, its folder is missing, the command reads it, or it is
            there and something else than what graft writes.
    """
    check_place(option, name, ends, f", or {STANDARD_OUTPUT}" if len(ends) > 1 else "")
    path, shown = Path(name), files.printable(name)
    if not os.path.lexists(name):
        return
    if any(os.path.exists(one) and os.path.samefile(one, name) for one in read):  # noqa: PTH110, PTH121
        raise refuse(option, "another file than those that are read", shown)
    try:
        with path.open("rb") as file:
            start = file.read(_LONGEST)
    except OSError as error:
        raise refuse(option, "a new file", f"{shown} ({reasons.unreadable(error)})") from None
    if start and not _STARTS[path.suffix.lower()].match(start):
        allowed = "a new file, or one that graft has written: no other is written over"
        raise refuse(option, allowed, shown)


def say_written(name: str, was_there: bool) -> str:
    """That a file was written, and whether another one gave way to it."""
    return f"written to {name}{', in place of the file that was there' if was_there else ''}"


def path_from(table: Path, path: str) -> str:
    """The path of a photo as a table has it, so that it can be read from there again.

    Args:
        table: the file that has it.
        path: from the present folder, or whole.

    Returns:
        The path from the folder of the table if the photo is below that, else the whole path.
    """
    place, folder = _whole(Path(path)), _whole(table).parent
    inside = place.is_relative_to(folder)
    return (place.relative_to(folder) if inside else place).as_posix()


def _whole(path: Path) -> Path:
    # Behind a link, `..` is not the folder before it.
    return path.parent.resolve() / path.name if ".." in path.parts else path.absolute()


def write_json_lines(
    file: TextIO, count: int, limit: float | None, unknown: bool = False
) -> Writer:
    """A JSON object a photo: path, label, confidence; top, all labels; unsure; unknown, distance;
    reason.

    Label, confidence and distance are null where the file cannot be read. `top` is there if more
    than one label is asked for, `unsure` if there is a limit, `unknown` and `distance` if it is.
    """

    def write(answer: Answer) -> None:
        label, confidence = answer.labels[0] if answer.labels else (None, None)
        row: dict[str, Any] = {"path": answer.path, "label": label, "confidence": confidence}
        if count > 1:
            row["top"] = [{"label": name, "confidence": value} for name, value in answer.labels]
        if limit is not None:
            row["unsure"] = is_unsure(answer, limit)
        if unknown:
            row |= {"unknown": answer.unknown, "distance": answer.distance}
        print(json.dumps(row | {"reason": answer.reason}, ensure_ascii=False), file=file)

    return write
