"""What a stage made before: a stage whose output has a row an image computes only new rows.

There is no store for it. `dvc.lock` names the hashes of a stage's last outputs and of all that they
were made from, versions of libraries among it, and DVC's cache still has the files. Rows are taken
from them only where a build from nothing would compute the same bytes, so the kind of processor
that made them is noted beside. What another machine made is not mixed with rows of this one.
"""

import configparser
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from graft.common.atomic import write_text
from graft.integrity.damage import hash_file

# The key of a stage's `meta` in dvc.yaml: inputs that may differ, since they are known row by row.
BY_ROW = "by_row"
_MADE = Path(".graft/made")
_KEPT = 8  # outputs of a stage of which it is known what made them
_PROCESSOR = ("vendor_id", "cpu family", "model", "stepping", "cache size", "flags", "Features")


def find_cache() -> Path:
    """Where DVC's cache has its files, by the settings of this project."""
    settings = configparser.ConfigParser(interpolation=None)
    folder = Path(".dvc")
    with suppress(configparser.Error, UnicodeError):
        settings.read([folder / "config", folder / "config.local"], encoding="utf-8")
    named = settings.get("cache", "dir", fallback="cache").strip('"')
    return folder / named / "files/md5"


class Earlier:
    """Files of a stage's last run, in DVC's cache.

    Args:
        cache: the folder of the cache's files.
        hashes: of the files, by declared path.
    """

    def __init__(self, cache: Path, hashes: Mapping[Path, str]) -> None:
        self._cache, self._hashes = cache, hashes

    def __call__(self, path: Path) -> Path | None:
        """The file that was at a declared path, found to be undamaged; None if there is none."""
        name = self._hashes.get(path, "")
        found = self._cache / name[:2] / name[2:]
        with suppress(OSError):
            if name and hash_file(found) == name:
                return found
            print(
                f"graft: DVC's cache holds a damaged copy of {path}, which is not used:"
                " `graft verify --repair` mends it",
                file=sys.stderr,
            )
        return None


def note_made(address: str, outputs: Mapping[str, str]) -> None:
    """Notes that outputs were made here and now.

    Args:
        address: of the stage.
        outputs: their hashes by path.
    """
    path = _MADE / f"{address}.json"
    made = _read(path)
    made.pop(_name(outputs), None)
    made |= {_name(outputs): describe_machine()}
    write_text(path, json.dumps(dict([*made.items()][-_KEPT:])) + "\n")


def is_made_here(address: str, outputs: Mapping[str, str]) -> bool:
    """Whether outputs were made by the kind of processor of this process."""
    made = _read(_MADE / f"{address}.json").get(_name(outputs))
    return made is not None and made == describe_machine()


def describe_machine() -> str:
    """A digest of the kind of processor, and of the graphics cards."""
    found = [platform.machine(), platform.processor()]
    with suppress(OSError):
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        found += [line for line in first.splitlines() if line.startswith(_PROCESSOR)]
    with suppress(OSError):
        for card in sorted(Path("/proc/driver/nvidia/gpus").iterdir()):
            found.append((card / "information").read_text(encoding="utf-8").partition("\n")[0])
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _name(outputs: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
