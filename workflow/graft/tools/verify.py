"""Check every file that DVC has recorded, in the folder and in the cache; `--repair` mends them."""

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.integrity.moment import remove_entry, remove_from_lock
from graft.integrity.verification import Finding, find_damage, mend
from graft.scheduling.dvc_calls import (
    claim_folders,
    list_damaged_entries,
    list_false_entries,
    list_recorded,
    open_repository,
)
from graft.tools.options import parse_options

_PLACES = {"folder": "the folder", "cache": "DVC's cache"}


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
        UserError: a file is damaged and was not repaired.
    """
    options = parse_options("verify", __doc__, arguments)
    # No run may write while files are hashed. What DVC itself cannot read is mended first.
    with contextlib.ExitStack() as claims, open_repository(partial(_claim, claims)) as repo:
        damaged = list_damaged_entries(repo)
        for path in damaged:
            print(f"{path.name} is damaged in DVC's run cache")
            if options.repair:
                for other in path.parent.glob("*"):  # what was restored by it is there, too
                    remove_entry(other)
        false = list_false_entries(repo)
        for address in false:
            print(f"what dvc.lock says of {address} is damaged")
            if options.repair:
                remove_from_lock(address)
        files = list_recorded(repo)
        findings = [found for found in map(find_damage, files) if found is not None]
        for finding in findings:
            print(f"{_name(finding)} is damaged in {_where(finding)}")
            if options.repair:
                mend(finding)
    count = len(findings) + len(damaged) + len(false)
    if not count:
        sound = f"all {len(files)} recorded files are sound"
        print(sound if files else "no file is recorded yet: run the pipeline first")
    elif options.repair:
        print(f"{count} files were repaired or removed; the next run makes the rest")
    else:
        raise UserError(
            f"all files must be as DVC recorded them: `graft verify --repair`, then run again."
            f" Received: {count} damaged files"
        )


def _claim(claims: contextlib.ExitStack, repo: Any) -> None:
    claims.enter_context(claim_folders(repo, ("data", "reports")))


def _name(finding: Finding) -> Path | None:
    return finding.file.path or finding.file.cached


def _where(finding: Finding) -> str:
    return " and ".join(_PLACES[place] for place in finding.places)
