"""Files of the project, of git and of DVC that are other than graft has made them."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from project import FRESH, Project
from surroundings.scene import (
    DVC,
    ENGINES,
    NO_EFFECT,
    REFUSED,
    SNAKEMAKE,
    Scene,
    Skip,
    Surrounding,
)

CODE, GIT, STAGES = "beside the code", "git and data", "dvc.yaml"
WRITTEN, RIGHTS, OPTIONS = "files that graft writes", "rights and disks", "options and parameters"
LEFT = (".head.py.swp", "head.py~", ".DS_Store", "4913", "#head.py#", "head.py.orig")
MINE = "\n  mine:\n    cmd: wc data/split.csv > mine.txt\n    deps: [data/split.csv]\n"
MINE += "    outs: [mine.txt]\n\nplots:\n"
NOBODY = 65534


def surroundings() -> Iterator[Surrounding]:
    """All of them."""
    for kind, name, verdict, look in (
        (CODE, "files of Vim, nano, Kate, macOS and patch", NO_EFFECT, _left),
        (CODE, "a lock of Emacs, a link to nothing", NO_EFFECT, _link),
        (CODE, "a pipe", NO_EFFECT, _pipe),
        (CODE, ".DS_Store, Thumbs.db and desktop.ini among the images", NO_EFFECT, _systems),
        (GIT, "a project without git, Snakemake", REFUSED, _no_git),
        (GIT, "a clone without its data, Snakemake", REFUSED, _clone),
        (STAGES, "dvc freeze, and other parameters", REFUSED, _freeze),
        (STAGES, "dvc freeze, and nothing else", NO_EFFECT, _freeze_alone),
        (STAGES, "dvc remove head, Snakemake", REFUSED, _remove),
        (STAGES, "a stage of one's own, Snakemake first", NO_EFFECT, _own_stage),
        (WRITTEN, "workflow/libraries.yaml gone, Snakemake", NO_EFFECT, _gone_libraries),
        (WRITTEN, "workflow/libraries.yaml in conflict, Snakemake", NO_EFFECT, _torn_libraries),
        (WRITTEN, "workflow/shards.yaml gone, Snakemake", NO_EFFECT, _gone_shards),
        (WRITTEN, "workflow/shards.yaml in conflict, Snakemake", NO_EFFECT, _torn_shards),
        (OPTIONS, "snakemake --config", REFUSED, _config),
        (OPTIONS, "braces in the path of the images, Snakemake", REFUSED, _braces),
        (RIGHTS, "a read-only project, Snakemake", REFUSED, _read_only),
        (RIGHTS, "built by root, then run by another user, Snakemake", REFUSED, _other_user),
        (RIGHTS, "a full /dev/shm", REFUSED, _full_memory),
    ):
        yield Surrounding(kind, name, verdict, look)
    for engine in ENGINES:
        name = f"a params.yaml that is no YAML, {engine[0]}"
        yield Surrounding(OPTIONS, name, REFUSED, partial(_no_yaml, engine))


def _left(scene: Scene) -> None:
    room = scene.path("workflow/graft/head")
    for name in LEFT:
        (room / name).write_text("left", encoding="utf-8")
    (room / ".vscode").mkdir()
    (room / ".vscode/settings.json").write_text("{}", encoding="utf-8")
    scene.is_idle()
    scene.builds(*DVC)


def _link(scene: Scene) -> None:
    scene.path("workflow/graft/head/.#head.py").symlink_to("me@host.4711:1")
    scene.is_idle()
    scene.builds(*SNAKEMAKE)


def _pipe(scene: Scene) -> None:
    os.mkfifo(scene.path("workflow/graft/head/pipe"))
    scene.is_idle()
    scene.builds(*DVC)


def _systems(scene: Scene) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        scene.path(f"data/raw/tiny/a/{name}").write_text("left", encoding="utf-8")
    scene.is_idle()


def _no_git(scene: Scene) -> None:
    shutil.rmtree(scene.path(".git"))
    scene.refuses(*SNAKEMAKE, says="must be in git.*`git init`")
    scene.made.run("git", "init", "--quiet")
    scene.builds(*SNAKEMAKE)


def _clone(scene: Scene) -> None:
    scene.made.run("git", "rm", "-rq", "--cached", "data/raw/tiny")
    scene.made.dvc("add", "data/raw/tiny")
    scene.made.commit()
    other = scene.top / "clone"
    subprocess.run(["git", "clone", "--quiet", str(scene.made.folder), str(other)], check=True)
    first, scene.made = scene.made, Project(other)
    scene.refuses(*SNAKEMAKE, says="dataset.path must be .*`uv run dvc pull` fetches it")
    shutil.copytree(first.folder / ".dvc/cache", other / ".dvc/cache")
    scene.made.dvc("checkout", "data/raw/tiny.dvc")
    scene.builds(*SNAKEMAKE)


def _freeze(scene: Scene) -> None:
    scene.made.dvc("freeze", "split")
    scene.made.change({"split.seed": 77})
    for engine in ENGINES:
        scene.refuses(*engine, says="`dvc unfreeze split`, then run the whole pipeline again")
    scene.made.dvc("unfreeze", "split")
    scene.made.snakemake()
    scene.is_idle()


def _freeze_alone(scene: Scene) -> None:
    scene.made.dvc("freeze", "split")
    scene.builds(*SNAKEMAKE)


def _remove(scene: Scene) -> None:
    scene.made.dvc("remove", "head")
    scene.refuses(*SNAKEMAKE, says="must have the stage head.*`git checkout dvc.yaml`")


def _own_stage(scene: Scene) -> None:
    path = scene.path("dvc.yaml")
    text = path.read_text(encoding="utf-8").replace("\nplots:\n", MINE, 1)
    path.write_text(text, encoding="utf-8")
    scene.builds(*SNAKEMAKE)
    scene.made.dvc("repro")
    assert scene.path("mine.txt").exists()
    scene.is_idle()


def _heals(name: str, conflict: bool, scene: Scene) -> None:
    path = scene.path(name)
    text = path.read_text(encoding="utf-8")
    if conflict:
        path.write_text(f"<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n", encoding="utf-8")
    else:
        path.unlink()
    scene.builds(*SNAKEMAKE)
    assert path.read_text(encoding="utf-8") == text


_gone_libraries = partial(_heals, "workflow/libraries.yaml", False)
_torn_libraries = partial(_heals, "workflow/libraries.yaml", True)
_gone_shards = partial(_heals, "workflow/shards.yaml", False)
_torn_shards = partial(_heals, "workflow/shards.yaml", True)


def _config(scene: Scene) -> None:
    scene.change()
    scene.refuses(*SNAKEMAKE, "--config", "seed=3", says="graft use RECIPE --set KEY=VALUE")


def _braces(scene: Scene) -> None:
    scene.path("data/raw/tiny").rename(scene.path("data/raw/ti{n}y"))
    scene.made.change({"dataset.path": "data/raw/ti{n}y"})
    scene.refuses(*SNAKEMAKE, says="dataset.path must be a path without braces")


def _no_yaml(engine: tuple[str, ...], scene: Scene) -> None:
    with scene.path("params.yaml").open("a", encoding="utf-8") as file:
        file.write("more: [\n")
    scene.refuses(*engine, says="params.yaml")


def _obeying() -> tuple[str, ...]:
    """A command before which programs obey rights, also where root runs them."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        raise Skip("there is no setpriv here")
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def _read_only(scene: Scene) -> None:
    scene.change()
    places = [scene.made.folder, *scene.made.folder.rglob("*")]
    folders = [path for path in places if path.is_dir() and not path.is_symlink()]
    for folder in folders:
        folder.chmod(0o555)
    with contextlib.ExitStack() as after:
        for folder in folders:
            after.callback(folder.chmod, 0o755)
        scene.refuses(*_obeying(), *SNAKEMAKE, says="may write: `chmod -R u\\+w")
    scene.builds(*SNAKEMAKE)


def _other_user(scene: Scene) -> None:
    prefix = _obeying()
    if not prefix:
        raise Skip("only root can become another user")
    scene.change()
    user = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    # The interpreter may be in a folder that is closed to others, so reading is allowed.
    rights = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    (scene.top / "home").mkdir()
    (scene.top / "home").chmod(0o777)
    home = str(scene.top / "home")
    command = ("setpriv", *user, *rights, *SNAKEMAKE)
    scene.refuses(*command, says=f"may write: `sudo chown -R {NOBODY}", HOME=home)


def _full_memory(scene: Scene) -> None:
    """Locks of processes that work together are there."""
    if shutil.which("unshare") is None or os.geteuid() != 0 or not Path("/dev/shm").is_dir():
        raise Skip("only root can mount a small disk")
    program = (
        "import errno, sys; sys.path.insert(0, 'workflow')\n"
        "from graft.scheduling.endings import find_full_disk\n"
        "print(find_full_disk(OSError(errno.ENOSPC, 'No space left on device')))"
    )
    script = (
        "mount -t tmpfs -o size=4k tmpfs /dev/shm && ! cat /dev/zero > /dev/shm/x 2> /dev/null"
        f' && python -c "{program}"'
    )
    run = scene.run("unshare", "--mount", "bash", "-c", script)
    if run.status:
        raise Skip("a small disk cannot be mounted here")
    assert "no space is left on the disk of /dev/shm" in run.text, run.text
    assert FRESH in scene.run(*SNAKEMAKE).text
