"""The table: every surrounding is tried, and its verdict is listed."""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path

from faults.table import bases
from surroundings.scene import SKIPPED, WRONG, Surrounding, look_at

MODULES = ("variables", "midrun", "engines", "project_files")


def all_surroundings() -> list[Surrounding]:
    """All of them, in the order of the table."""
    found = list(chain(*(import_module(f"surroundings.{n}").surroundings() for n in MODULES)))
    assert len({surrounding.name for surrounding in found}) == len(found)
    return found


def look_at_all(chosen: Iterable[Surrounding]) -> Iterator[tuple[Surrounding, str, str, float]]:
    """Each with its verdict, why it is not the expected one, and the seconds that it took."""
    with tempfile.TemporaryDirectory(prefix="graft-surroundings-") as name:
        made = bases(Path(name))
        for number, surrounding in enumerate(chosen):
            began = time.monotonic()
            found = look_at(surrounding, made[surrounding.real], Path(name) / str(number))
            yield surrounding, *found, time.monotonic() - began


def draw(rows: Iterable[tuple[Surrounding, str]]) -> str:
    """The table as Markdown."""
    lines = ["| kind | surrounding | stages | verdict |", "|---|---|---|---|"]
    for surrounding, verdict in rows:
        stages = "real" if surrounding.real else "stand-ins"
        lines.append(f"| {surrounding.kind} | {surrounding.name} | {stages} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Tries what the command line asks for; 1 if a verdict is not the expected one."""
    parser = argparse.ArgumentParser("python -m tests.surroundings", description=__doc__)
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="those whose kind or name has it"
    )
    parser.add_argument("--real", action="store_true", help="those that take real stages alone")
    parser.add_argument("--stand-ins", action="store_true", help="none that take real stages")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="writes the table there")
    parser.add_argument("--list", action="store_true", help="lists them and ends")
    asked = parser.parse_args()
    chosen = [
        surrounding
        for surrounding in all_surroundings()
        if asked.only in f"{surrounding.kind}: {surrounding.name}"
        and not (asked.stand_ins and surrounding.real)
        and not (asked.real and not surrounding.real)
    ]
    if asked.list:
        print(*(f"{each.kind}: {each.name}" for each in chosen), sep="\n")
        return 0
    if not chosen:
        parser.error("none has this kind or name")
    rows = []
    for surrounding, verdict, why, seconds in look_at_all(chosen):
        rows.append((surrounding, verdict))
        head = f"[{len(rows)}/{len(chosen)}] {verdict} ({seconds:.0f} s)"
        print(f"{head}: {surrounding.kind}: {surrounding.name}", flush=True)
        if why:
            print(*(f"    | {line}" for line in why.splitlines()), sep="\n", flush=True)
    print(f"\n{draw(rows)}")
    if asked.markdown:
        asked.markdown.write_text(draw(rows), encoding="utf-8")
    print(f"{sum(verdict == SKIPPED for _, verdict in rows)} of {len(rows)} were skipped")
    return int(any(verdict == WRONG for _, verdict in rows))
