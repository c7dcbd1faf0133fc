"""A file system that nodes share over the network, for tests: GlusterFS on this machine.

Debian's packages `glusterfs-server` and `glusterfs-client` and the rights of root are needed. Each
mount is a client of its own, which sees the files and locks of another only through the server.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from background import await_true
from cases import read_cases

_PORT = 24999
# The configuration of the server and of each client.
_SETTINGS = read_cases(__file__)


def find_missing() -> str | None:
    """Why there can be no GlusterFS here, or None."""
    missing = [name for name in ("glusterfsd", "glusterfs") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: glusterfs-server glusterfs-client)"
    return None if Path("/dev/fuse").exists() else "there is no /dev/fuse"


@contextmanager
def share(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A shared file system for the time of the block.

    Args:
        folder: for its files, settings and logs.

    Returns:
        where it is mounted here, and the command that mounts it there on another node.
    """
    disk, mounted = folder / "disk", folder / "mounted"
    for path in (disk, mounted):
        path.mkdir(parents=True)
    for name, text in _SETTINGS.items():
        text = text.format(folder=disk, port=_PORT)
        (folder / f"{name}.vol").write_text(text, encoding="utf-8")
    server = subprocess.Popen(
        ["glusterfsd", "-N", "-f", folder / "server.vol", "-l", folder / "server.log"]
    )
    mount = ["glusterfs", "-f", f"{folder}/client.vol", "-l", f"{folder}/client.log", str(mounted)]
    try:
        subprocess.run(mount, check=True)
        if not await_true(lambda: _holds_files(mounted), 30.0, 0.2) or server.poll() is not None:
            raise TimeoutError("GlusterFS does not come up")
        yield mounted, mount
    finally:
        subprocess.run(["umount", "--lazy", mounted])
        server.terminate()
        server.wait()


def _holds_files(mounted: Path) -> bool:
    try:
        (mounted / "here").touch()
    except OSError:
        return False
    return mounted.is_mount()
