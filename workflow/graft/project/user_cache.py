"""What a stage has made, kept for all projects of a user: `~/.cache/graft`.

The graph of a pretrained network is the same for every project, and takes six seconds to build. It
is named by all that it is made from, so nothing old is ever taken. The folder may be deleted at any
time, and where it cannot be written to, each project makes its own.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from graft.integrity.damage import hash_file, hash_folder
from graft.integrity.records import Made

_HASHES = "hashes.json"
_PART = ".part-"
# Bytes of all together; what was not used for longest goes first.
_MOST = 4 * 2**30
_ABANDONED = 24 * 3600  # seconds after which what nobody finished is deleted


class KeptResult(NamedTuple):
    """What a stage makes, in the folder of the user.

    Attributes:
        folder: where it is, or will be.
        may_be_taken: whether the stage need not run if it is there.
    """

    folder: Path
    may_be_taken: bool

    def take(self, written: Mapping[Path, Path]) -> bool:
        """Copies what is kept to where the outputs of the stage are to be written.

        Args:
            written: the outputs, each with the temporary path to write it to.

        Returns:
            Whether all of it was there, undamaged, and may be taken.
        """
        if not self.may_be_taken:
            return False
        try:
            hashes = json.loads((self.folder / _HASHES).read_text(encoding="utf-8"))
            for part in written.values():
                shutil.copyfile(self.folder / part.name, part)
                if hash_file(part) != hashes[part.name]:
                    raise ValueError(part.name)
            os.utime(self.folder)
        except (OSError, ValueError, LookupError, TypeError):
            for part in written.values():
                part.unlink(missing_ok=True)
            return False
        return True

    def keep(self, written: Mapping[Path, Path], hashes: Mapping[str, str]) -> None:
        """Keeps the outputs, which appear whole or not at all, if they can be written there.

        Args:
            written: the outputs, each with the path that has it now.
            hashes: of the outputs, by path.
        """
        above = self.folder.parent
        with contextlib.suppress(OSError):
            above.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=_PART, dir=above))
            try:
                for path in written.values():
                    shutil.copyfile(path, part / path.name)
                named = {path.name: hashes[str(path)] for path in written}
                (part / _HASHES).write_text(json.dumps(named), encoding="utf-8")
                shutil.rmtree(self.folder, ignore_errors=True)  # it is damaged, or was not taken
                part.rename(self.folder)  # of two processes the later one has lost nothing here
            finally:
                shutil.rmtree(part, ignore_errors=True)
            _make_room(above)


def find_kept(now: Made, may_be_taken: bool) -> KeptResult | None:
    """Where what a stage makes is kept, by all that it is made from; None where that is not known.

    Args:
        now: what that is. Data that no stage makes is read, to be known by its bytes.
        may_be_taken: whether the stage need not run if it is there.
    """
    if "" in now.dependencies.values():  # the package is not a part of the project
        return None
    known = {
        path: name or (hash_folder if Path(path).is_dir() else hash_file)(Path(path))
        for path, name in now.dependencies.items()
    }
    made_from = now._replace(dependencies=known, outputs={})
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return KeptResult(_find_folder() / digest, may_be_taken)


def _find_folder() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return (named if named.is_absolute() else Path("~/.cache").expanduser()) / "graft"


def _make_room(folder: Path) -> None:
    """Deletes what was not used for longest, down to the last, and what nobody has finished."""
    entries = sorted(folder.iterdir(), key=lambda entry: -entry.stat().st_mtime)
    total = 0
    for number, entry in enumerate(entries):
        if entry.name.startswith(_PART):
            too_much = time.time() - entry.stat().st_mtime > _ABANDONED
        else:
            total += sum(file.stat().st_size for file in entry.iterdir())
            too_much = number > 0 and total > _MOST
        if too_much:
            shutil.rmtree(entry, ignore_errors=True)
