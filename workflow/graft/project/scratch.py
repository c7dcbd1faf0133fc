"""Where a stage keeps what lets it go on after it was killed: `.graft/scratch/ADDRESS/DIGEST`.

The digest is of all that the result depends on, so that what is found there belongs to this very
computation, whichever engine runs it.
"""

import hashlib
import json
import shutil
from pathlib import Path

from graft.integrity.records import Made

# Beside the files of the engines: ignored by git and unknown to DVC.
SCRATCH = Path(".graft/scratch")


def find_scratch(address: str, made_from: Made) -> Path:
    """The folder of a computation, which need not be there yet.

    Args:
        address: of the stage.
        made_from: all that its outputs are made from.

    Raises:
        ValueError: it is more than is known by its bytes.
    """
    if None in made_from.dependencies.values():
        raise ValueError(f"{address} reads data that is not known by its bytes")
    text = json.dumps(made_from[:4], sort_keys=True)
    return SCRATCH / address / hashlib.sha256(text.encode()).hexdigest()


def clear_scratch(address: str, kept: Path | None = None) -> None:
    """Removes what runs of a stage have left there, but for one folder."""
    folder = SCRATCH / address
    for path in folder.iterdir() if folder.is_dir() else ():
        if path != kept:
            shutil.rmtree(path)
