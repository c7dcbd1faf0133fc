"""Where a stage keeps what lets it go on after it was killed: `.graft/scratch/ADDRESS/DIGEST`.

The digest is of all that the result depends on, so that what is found there belongs to this very
computation, whichever engine runs it.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from graft.common.stage import Stage
from graft.integrity.damage import hash_file

# Beside the files of the engines: ignored by git and unknown to DVC.
SCRATCH = Path(".graft/scratch")
_PACKAGE = Path(__file__).parent.parent
# The others take minutes at most, and would read their inputs twice for it.
_TRAININGS = ("head", "finetune")


def find_scratch(stage: Stage, rooms: Iterable[Path]) -> Path | None:
    """The folder of this computation, which need not be there yet; None if the stage needs none.

    Args:
        stage: with its address, options, parameters and inputs.
        rooms: the folders of the package whose code it runs.
    """
    if stage.address not in _TRAININGS:
        return None
    code = {
        f"{room.name}/{path.name}": hash_file(path)
        for room in rooms
        for path in (_PACKAGE / room.name).glob("*.py")
    }
    inputs = {str(path): hash_file(path) for path in stage.read}
    all_ = [stage.address, dict(stage.options), dict(stage), code, inputs]
    digest = hashlib.sha256(json.dumps(all_, sort_keys=True).encode()).hexdigest()
    return SCRATCH / stage.address / digest


def clear_scratch(address: str, kept: Path | None = None) -> None:
    """Removes what runs of a stage have left there, but for one folder."""
    folder = SCRATCH / address
    for path in folder.iterdir() if folder.is_dir() else ():
        if path != kept:
            shutil.rmtree(path)
