"""The versions of the libraries that each room computes with: another one may give other results.

`dvc.yaml` lists them for a stage as it lists rooms of code: as parameters in a file, by room. What
is installed counts, whatever the file says: DVC reads the installed versions in its place, and it
is brought up to date when a stage runs, so that git shows what changed. Libraries that only check,
log or test are not among them.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text

VERSIONS = Path("workflow/libraries.yaml")
# By room, without those of `common`, which all stages use; a test compares them with what the rooms
# import.
LIBRARIES = {
    "audit": ("scipy",),
    "common": ("numpy", "pandas"),
    "evaluation": ("openvino",),
    "images": ("imagehash", "pillow"),
    "judging": ("scipy",),
    "linear": ("scikit-learn", "scipy"),
    "models": ("keras", "openvino", "tensorflow"),
    "report": ("jinja2", "matplotlib", "pillow", "scipy"),
    "split": ("pillow", "scipy"),
    "statistics": ("scikit-learn", "scipy"),
}
_HEAD = """\
# What is installed of the libraries that each room of the package computes with: another version
# makes the stages of the room stale. graft writes this file.
"""


def find_versions() -> dict[str, str]:
    """What is installed, by room: such as `numpy 2.4.6, pandas 3.1.1`."""
    return {
        room: ", ".join(f"{name} {_find_version(name)}" for name in names)
        for room, names in LIBRARIES.items()
    }


def write_versions(folder: Path) -> None:
    """Brings the file of a project up to date; one that is, is not touched.

    Args:
        folder: of the project.
    """
    text = _HEAD + "".join(f"{room}: {found}\n" for room, found in find_versions().items())
    path = folder / VERSIONS
    if path.exists() and path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def read_installed(
    files: Any, original: Callable[..., Any], path: str, *positions: Any, **named: Any
) -> Any:
    """In place of DVC's `read_param_file`: the rooms of the file, with what is installed.

    Args:
        files: the file system of DVC; what a commit holds is read as it is.
        original: DVC's function.
        path: the file.
        positions, named: what else DVC gives it.
    """
    found = original(files, path, *positions, **named)
    if files.protocol != "local" or Path(path).parts[-len(VERSIONS.parts) :] != VERSIONS.parts:
        return found
    now = find_versions()
    return {room: now.get(room, value) for room, value in found.items()}


@cache
def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
