"""What happens around a stage while it runs, and changes nothing that it is made from."""

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from surroundings.scene import DVC, NO_EFFECT, REFUSED, SNAKEMAKE, Scene, Surrounding, pausing

KIND = "while a stage runs"
Act = Callable[[Scene], None]


def surroundings() -> Iterator[Surrounding]:
    """All of them."""
    for name, act, address, engine in (
        ("a backup by hard links", _link, "head", DVC),
        ("chmod -R", _chmod, "manifest", SNAKEMAKE),
        ("touch of all files", _touch, "head", SNAKEMAKE),
        ("files of an editor beside the code", _edit, "head", DVC),
    ):
        yield Surrounding(KIND, name, NO_EFFECT, partial(_meanwhile, act, address, engine))
    yield Surrounding(KIND, "a library is upgraded", REFUSED, _upgrade)


def _files(scene: Scene) -> Iterator[Path]:
    for top in ("data", "reports", "workflow", "params.yaml", "dvc.yaml"):
        path = scene.path(top)
        found = [path] if path.is_file() else path.rglob("*")
        yield from (file for file in found if file.is_file() and ".part-" not in str(file))


def _link(scene: Scene) -> None:
    for number, file in enumerate(_files(scene)):
        os.link(file, scene.top / f"backup{number}")


def _chmod(scene: Scene) -> None:
    for file in _files(scene):
        file.chmod(file.stat().st_mode ^ 0o040)


def _touch(scene: Scene) -> None:
    for file in _files(scene):
        with contextlib.suppress(FileNotFoundError):
            os.utime(file)


def _edit(scene: Scene) -> None:
    room = scene.path("workflow/graft/head")
    for name in (".head.py.swp", "head.py~", "4913", ".DS_Store"):
        (room / name).write_text("left", encoding="utf-8")
    (room / ".#head.py").symlink_to("me@host.4711:1")


def _meanwhile(act: Act, address: str, engine: tuple[str, ...], scene: Scene) -> None:
    scene.change()
    if address == "manifest":
        scene.path("data/raw/tiny/a/00.png").write_bytes(os.urandom(50))
    with pausing(scene, address, *engine):
        act(scene)
    scene.is_right()


def _upgrade(scene: Scene) -> None:
    """What runs keeps nothing, and what comes after it does not start."""
    place = scene.top / "packages"
    place.mkdir()
    scene.change()
    variables = {"PYTHONPATH": f"{scene.path('workflow')}{os.pathsep}{place}"}
    with pausing(scene, "head", *SNAKEMAKE, fails="numpy 99 is installed", **variables):
        about = place / "numpy-99.dist-info/METADATA"
        about.parent.mkdir()
        about.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 99\n", encoding="utf-8")
    about.unlink()
    about.parent.rmdir()
    scene.builds(*DVC)
