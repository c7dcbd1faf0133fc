"""How the engines are started, and where the project is."""

import os
import sys
import venv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from project import BIN
from surroundings.scene import ENGINES, NO_EFFECT, SNAKEMAKE, Scene, Surrounding

PATHS, FOLDERS = "which graft runs", "where the project is"
GRAFT = "#!{}\nimport sys\nfrom graft.cli import main\nsys.exit(main())\n"
BARE = "/usr/bin:/bin"


def surroundings() -> Iterator[Surrounding]:
    """All of them."""
    name = "Snakemake by its path, without its environment on PATH (cron)"
    yield Surrounding(PATHS, name, NO_EFFECT, _by_path)
    for engine in ENGINES:
        name = f"another environment's graft first on PATH, {engine[0]}"
        yield Surrounding(PATHS, name, NO_EFFECT, partial(_other_graft, engine))
    for engine in ENGINES:
        name = f"a colon in the path, another folder's environment, {engine[0]}"
        yield Surrounding(FOLDERS, name, NO_EFFECT, partial(_colon, engine))


def _by_path(scene: Scene) -> None:
    scene.builds(str(BIN / "snakemake"), *SNAKEMAKE[1:], PATH=BARE)


def _other_graft(engine: tuple[str, ...], scene: Scene) -> None:
    """It would compute with another version of NumPy."""
    other = scene.top / "other"
    venv.create(other)
    (packages,) = other.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "ours.pth").write_text("\n".join(ours), encoding="utf-8")
    about = packages / "numpy-99.dist-info/METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 99\n", encoding="utf-8")
    graft = other / "bin/graft"
    graft.write_text(GRAFT.format(other / "bin/python"), encoding="utf-8")
    graft.chmod(0o755)
    path = os.pathsep.join([str(other / "bin"), str(BIN), BARE])
    scene.builds(str(BIN / engine[0]), *engine[1:], PATH=path, SHELL="/bin/sh")
    assert "numpy 99" not in scene.path("workflow/libraries.yaml").read_text(encoding="utf-8")
    assert "numpy 99" not in scene.path("dvc.lock").read_text(encoding="utf-8")


def _colon(engine: tuple[str, ...], scene: Scene) -> None:
    place = scene.top / "a:b"
    scene.made.folder.rename(place)
    scene.made.folder = place
    scene.builds(*engine, PYTHONPATH="")
