"""The versions of the libraries that each room computes with: another one may give other results.

`dvc.yaml` lists them for a stage as it lists rooms of code: as parameters in a file, by room. graft
writes the file whenever Snakemake starts. A stage does not run while the file says anything else
than what is installed. Libraries that only check, log or test are not among them.
"""

import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from graft.common.atomic import write_text
from graft.common.errors import UserError
from graft.integrity.yaml12 import NoYaml, read_yaml_file

VERSIONS = Path("workflow/libraries.yaml")
# By room, without those of `common`, which all stages use; a test compares them with what the rooms
# import.
LIBRARIES = {
    "audit": ("jinja2", "scipy"),
    "common": ("numpy", "pandas"),
    "copies": ("pillow", "scipy"),
    "decoder": ("pillow", "pillow-heif"),
    "evaluation": ("openvino",),
    "head": ("openvino", "scipy"),
    "images": ("imagehash",),
    "judging": ("scipy",),
    "linear": ("scipy",),
    "models": ("keras", "keras-hub", "openvino", "tensorflow"),
    "registration": ("pillow",),
    "report": ("jinja2", "matplotlib", "pillow", "scipy"),
    "statistics": ("scikit-learn", "scipy"),
    "training": ("graft",),  # models say which release has made them
    "unknown": ("openvino",),
}
# It computes only where the network is one of its own, by how `backbone.name` begins; elsewhere
# nothing is stale because it was installed.
_OF_NETWORKS = {"keras-hub": "hub/"}
_HEAD = """\
# What is installed of the libraries that each room of the package computes with: another version
# makes the stages of the room stale. graft writes this file.
"""


def find_versions(network: str | None = None) -> dict[str, str]:
    """What is installed, by room: such as `numpy 2.4.6, pandas 3.1.1`.

    Args:
        network: the value of `backbone.name`; None for that of the project.
    """
    network = _find_network() if network is None else network
    return {
        room: ", ".join(
            f"{name} {_find_version(name)}"
            for name in names
            if network.startswith(_OF_NETWORKS.get(name, ""))
        )
        for room, names in LIBRARIES.items()
    }


def _find_network() -> str:
    """The network of the project; empty where its parameters do not say."""
    try:
        return str(read_yaml_file(Path("params.yaml"))["backbone"]["name"])
    except (NoYaml, OSError, TypeError, LookupError):
        return ""  # the run says what is wrong with them


def write_versions() -> bool:
    """Brings the file of the project up to date; one that is, is not touched.

    Returns:
        whether it was another one.
    """
    text = _HEAD + "".join(f"{room}: {found}\n" for room, found in find_versions().items())
    if VERSIONS.exists() and VERSIONS.read_text(encoding="utf-8", errors="replace") == text:
        return False
    write_text(VERSIONS, text)
    return True


def check_versions(rooms: Iterable[str]) -> None:
    """Checks that the file says what is installed.

    One that cannot be read, as in the conflict of a merge, is written anew: nothing is lost by it.

    Args:
        rooms: those that are looked at.

    Raises:
        UserError: it says something else.
    """
    if not (VERSIONS.parent / "graft").is_dir():  # the package is not a part of this folder
        return
    try:
        said = dict(read_yaml_file(VERSIONS))
    except (NoYaml, OSError, TypeError, ValueError):
        write_versions()
        return
    installed = find_versions()
    for room in rooms:
        if said.get(room) != installed.get(room):
            raise UserError(
                f"{VERSIONS} must say what is installed: `uv run snakemake -n` writes it, then"
                f" run again. Received: {said.get(room)} where {installed.get(room)} is installed"
            )


def find_upgrade(rooms: Iterable[str]) -> str | None:
    """What was installed since this process found its versions, such as `numpy 3.0, was 2.4`.

    Args:
        rooms: whose libraries are looked at.
    """
    for name in sorted({name for room in rooms for name in LIBRARIES.get(room, ())}):
        before, now = _find_version(name), _find_version.__wrapped__(name)
        if before != now:
            return f"{name} {now} is installed, and was {before} at its start"
    return None


def list_installed() -> list[str]:
    """What is installed where Python finds packages: the folders by which pip and uv know it.

    Each has the version in its name. The time of what it lies in says less: Python itself writes
    there.
    """
    places = [place for place in map(Path, sys.path) if place.is_dir()]
    return sorted(str(found) for place in places for found in place.glob("*.dist-info"))


@cache
def _find_version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # not for a mere look at records

    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
