"""Every file that DVC has recorded, in the folder and in DVC's cache, against its recorded hash."""

import shutil
from pathlib import Path
from typing import NamedTuple

from graft.common.atomic import whole
from graft.integrity.damage import hash_file


class Recorded(NamedTuple):
    """A file as DVC has recorded it.

    Attributes:
        path: where it is in the folder; None for what is only in the cache.
        cached: where it is in DVC's cache; None for what is kept in git.
        name: its hash.
    """

    path: Path | None
    cached: Path | None
    name: str


class Finding(NamedTuple):
    """A file that is not as it was recorded.

    Attributes:
        file: as it was recorded.
        places: the damaged copies by where they are: the folder, DVC's cache or both.
        sound: a sound copy, from which it can be mended; None if there is none.
    """

    file: Recorded
    places: dict[str, Path]
    sound: Path | None


def find_damage(file: Recorded) -> Finding | None:
    """Hashes a recorded file where it is; None if all is sound.

    A file that is missing in the folder is no damage, since DVC sees that itself.
    """
    kept = {"the folder": file.path, "DVC's cache": file.cached}
    found = {place: path for place, path in kept.items() if path is not None and path.is_file()}
    sound = {place: path for place, path in found.items() if hash_file(path) == file.name}
    if len(sound) == len(found):
        return None
    damaged = {place: path for place, path in found.items() if place not in sound}
    return Finding(file, damaged, next(iter(sound.values()), None))


def mend(finding: Finding) -> None:
    """Puts a sound copy in the place of a damaged one; where there is none, the damaged one goes.

    DVC then makes the file anew at the next run.
    """
    for path in finding.places.values():
        if finding.sound is not None:
            with whole(path) as (part,):
                shutil.copyfile(finding.sound, part)
                part.chmod(path.stat().st_mode)
        else:
            path.unlink()
