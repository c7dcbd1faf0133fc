"""Merge a list of labels by hand into the corrections of the data set, and say what it changes."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from graft.common.errors import UserError
from graft.common.tables import read_table
from graft.labelling.corrections import (
    Correction,
    check_known,
    match_corrections,
    read_corrections,
    write_corrections,
)
from graft.project.labelled import MANIFEST
from graft.project.parameters import read_parameters
from graft.serving.merging import alone_with_corrections, merge_corrections, read_present
from graft.tools.options import parse_options

_OUT = "left out"
_NAMED = 5  # rows or pairs of classes that are named


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
        UserError: the list cannot be read, is not of its form, or has a label that is no class.
    """
    options = parse_options("relabel", __doc__, arguments)
    where = Path(read_parameters()["dataset"]["corrections"])
    rows = read_corrections(_read(options.list), str(options.list))
    if not MANIFEST.exists():
        raise UserError(f"{MANIFEST} is missing; `uv run dvc repro manifest` makes it")
    manifest = read_table(MANIFEST, ["id", "path", "label"]).set_index("path")
    ids, present = manifest["id"].to_dict(), manifest["label"].to_dict()
    check_known(rows, {label for label in present.values() if label})
    found, lost = match_corrections(rows, ids)
    with alone_with_corrections():
        old = read_present(where)
        before, _ = match_corrections(old, ids)
        write_corrections(where, merge_corrections(old, found, ids))
    now = {path: before[path].label if path in before else present[path] for path in found}
    print(f"{where}: {_describe(now, found)}")
    for row in lost[:_NAMED]:
        print(f"no picture is {row.picture!r} ({row.line})", file=sys.stderr)
    if more := lost[_NAMED:]:
        print(f"nor are {len(more):,} more of the list", file=sys.stderr)
    if lost:
        sys.exit(1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _describe(now: Mapping[str, str], found: Mapping[str, Correction]) -> str:
    """What rows change.

    Args:
        now: the present label of each file, by its path; empty if it is left out.
        found: the row of each of them.
    """
    pairs = Counter((now[path] or _OUT, row.label or _OUT) for path, row in found.items())
    same = sum(count for (one, other), count in pairs.items() if one == other)
    changed = [pair for pair in pairs.most_common() if pair[0][0] != pair[0][1]]
    total = sum(count for _, count in changed)
    named = [f"{count} {one} → {other}" for (one, other), count in changed[:_NAMED]]
    if len(changed) > _NAMED:
        named.append("…")
    text = f"{total} {'picture changes' if total == 1 else 'pictures change'}"
    if named:
        text += f" ({', '.join(named)})"
    return f"{text}; {same} as before" if same else text
