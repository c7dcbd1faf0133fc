"""Check every file that DVC has recorded, in the folder and in the cache; `--repair` mends them."""

from collections.abc import Sequence
from pathlib import Path

from graft.common.errors import UserError
from graft.integrity.verification import Finding, find_damage, mend
from graft.scheduling.dvc_calls import list_recorded, open_repository
from graft.tools.options import parse_options

_PLACES = {"folder": "the folder", "cache": "DVC's cache"}


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
        UserError: a file is damaged and was not repaired.
    """
    options = parse_options("verify", __doc__, arguments)
    # No run may write while files are hashed. What DVC itself cannot read is mended first.
    with open_repository() as repo:
        files = list_recorded(repo)
        findings = [found for found in map(find_damage, files) if found is not None]
        for finding in findings:
            print(f"{_name(finding)} is damaged in {_where(finding)}")
            if options.repair:
                mend(finding)
    if not findings:
        sound = f"all {len(files)} recorded files are sound"
        print(sound if files else "no file is recorded yet: run the pipeline first")
    elif options.repair:
        print(f"{len(findings)} files were repaired or removed; the next run makes the rest")
    else:
        raise UserError(
            f"all files must be as DVC recorded them: `graft verify --repair`, then run again."
            f" Received: {len(findings)} of {len(files)} files are damaged"
        )


def _name(finding: Finding) -> Path | None:
    return finding.file.path or finding.file.cached


def _where(finding: Finding) -> str:
    return " and ".join(_PLACES[place] for place in finding.places)
