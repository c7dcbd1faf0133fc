"""Check every file that DVC has recorded, in the folder and in the cache; `--repair` mends them."""

import contextlib
from collections.abc import Sequence
from typing import Any

from graft.common.errors import UserError
from graft.integrity.moment import forget_entry, remove_entry
from graft.integrity.verification import find_damage, mend
from graft.scheduling import dvc_calls
from graft.tools.options import parse_options


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
        UserError: a file is damaged and was not repaired.
    """
    options = parse_options("verify", __doc__, arguments)
    # No run may write while files are hashed. What DVC itself cannot read is mended first.
    claims = contextlib.ExitStack()

    def claim(repo: Any) -> None:
        claims.enter_context(dvc_calls.claim_folders(repo, ("data", "reports")))

    with claims, dvc_calls.open_repository(claim) as repo:
        damaged = dvc_calls.list_damaged_entries(repo)
        for path in damaged:
            print(f"{path.name} is damaged in DVC's run cache")
            if options.repair:
                for other in path.parent.glob("*"):  # what was restored by it is there, too
                    remove_entry(other)
        false = dvc_calls.find_false_entries(repo)
        for address, entry in false.items():
            print(f"what dvc.lock says of {address} is damaged")
            if options.repair:
                forget_entry(address, entry)
        files = dvc_calls.list_recorded(repo)
        findings = [found for found in map(find_damage, files) if found is not None]
        for finding in findings:
            where = " and ".join(finding.places)
            print(f"{finding.file.path or finding.file.cached} is damaged in {where}")
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
