"""A real Slurm of several small nodes on this machine, for tests.

Debian's packages `slurm-wlm` and `munge` are needed, and the rights of root. Each node is a
`slurmd` with a port, a host name and process numbers of its own, so that no process sees those of
another node, and all of a node's end at once with it. The nodes share the file system of this
machine. There is no accounting and no confinement by cgroups.
"""

import fcntl
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from jinja2 import Template

from background import await_true

CONFIGURATION = Path("/etc/slurm/slurm.conf")  # jobs do not inherit SLURM_CONF
_ALONE = Path("/run/graft-slurm.lock")
NODES = 3
CORES = 2  # that each node says it has
MEMORY = 16000  # MB of each: a job that is run again asks for up to three times as much
_FIRST_PORT = 17000
_PATIENCE = 60.0  # seconds
# A command with process numbers and a host name of its own. All ends with `unshare`.
_APART = ("unshare", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")


def find_missing() -> str | None:
    """Why there can be no Slurm here, or None."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch", "unshare")
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurm-wlm munge)"
    if os.geteuid() != 0 or not _succeeds(*_APART, "true"):
        return "starting Slurm needs the rights of root"
    # A node that says it has more than the machine is not used.
    if psutil.virtual_memory().total < MEMORY * 2**20 or (os.cpu_count() or 1) < CORES:
        return f"a node needs {CORES} cores and {MEMORY:,} MiB"
    return None


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _ask(*command: str) -> list[str]:
    """The lines that a command prints."""
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


@contextmanager
def run_slurm(folder: Path, mount: Sequence[str] = ()) -> Iterator["Slurm"]:
    """A Slurm for the time of the block.

    Args:
        folder: for its state, logs and spools.
        mount: a command that mounts a file system on each node, if they share one.
    """
    with _ALONE.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # there is one configuration for the whole machine
        slurm = Slurm(folder, mount)
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.stop()


class Slurm:
    """A controller and its nodes.

    Args:
        folder: for their state, logs and spools.
        mount: a command that mounts a file system on each node, if they share one.
    """

    def __init__(self, folder: Path, mount: Sequence[str] = ()) -> None:
        self._folder = folder
        self._mount = shlex.join(mount) or "true"
        self._controller: subprocess.Popen[bytes] | None = None
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        self._key: subprocess.Popen[bytes] | None = None
        self._saved = CONFIGURATION.read_bytes() if CONFIGURATION.exists() else None

    def start(self) -> None:
        """Starts all, and waits until the nodes are there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        CONFIGURATION.parent.mkdir(exist_ok=True)
        CONFIGURATION.write_text(self._configure(), encoding="utf-8")
        munge = Path("/run/munge")
        munge.mkdir(exist_ok=True)
        shutil.chown(munge, "munge", "munge")
        if not _succeeds("munge", "-n"):
            command = ["runuser", "-u", "munge", "--", "munged", "-F"]
            self._key = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            self._await(lambda: _succeeds("munge", "-n"))
        self.start_controller()
        for number in range(1, NODES + 1):
            self.start_node(number)
        self._await(self.is_idle)

    def stop(self) -> None:
        """Ends all that was started."""
        subprocess.run(["scancel", "--user", "root"], capture_output=True)
        for number in self._nodes:
            self.kill_node(number)
        for process in (self._controller, self._key):
            if process is not None:
                _end(process)
        if self._saved is None:
            CONFIGURATION.unlink(missing_ok=True)
        else:
            CONFIGURATION.write_bytes(self._saved)

    def start_controller(self) -> None:
        """Starts the controller, with the jobs that it knows."""
        log = (self._folder / "controller.log").open("ab")
        self._controller = subprocess.Popen(["slurmctld", "-D"], stdout=log, stderr=log)
        self._await(lambda: _succeeds("scontrol", "ping"))

    def stop_controller(self) -> None:
        """Ends the controller; nodes and their jobs go on."""
        _end(self._controller)

    def start_node(self, number: int) -> None:
        """Starts a node.

        Args:
            number: from 1.
        """
        log = (self._folder / f"n{number}.log").open("ab")
        name = f"n{number}"
        script = f"hostname {name} && {self._mount} && exec slurmd -D -N {name}"
        command = [*_APART, "sh", "-c", script]
        self._nodes[number] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill_node(self, number: int) -> None:
        """Kills a node with all that runs on it, as a loss of power does.

        Args:
            number: from 1.
        """
        self._nodes[number].kill()
        self._nodes[number].wait()

    def states(self) -> list[str]:
        """What the controller says of each node, such as `idle` or `down`."""
        return _ask("sinfo", "--noheader", "--Node", "--format", "%T")

    def is_idle(self) -> bool:
        """Whether all nodes are there, without a job."""
        return self.states() == ["idle"] * NODES

    def jobs(self) -> list[tuple[str, str]]:
        """The jobs in the queue: the number of each, and where it runs."""
        lines = _ask("squeue", "--noheader", "--format", "%i %N")
        return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]

    def state_of(self, number: str) -> str:
        """The state of a job, such as `RUNNING` or `TIMEOUT`.

        Args:
            number: of the job.
        """
        command = ["squeue", "--noheader", "--states", "all", "--format", "%T", "--jobs", number]
        return "".join(_ask(*command))

    def last_job(self) -> int:
        """The number of the last job that was submitted."""
        shown = _ask("scontrol", "show", "config")
        line = next(line for line in shown if line.startswith("NEXT_JOB_ID"))
        return int(line.partition("=")[2]) - 1

    def _configure(self) -> str:
        host = socket.gethostname().partition(".")[0]
        (self._folder / "state").mkdir(exist_ok=True)
        where = {"host": host, "folder": self._folder, "nodes": NODES}
        size = {"cores": CORES, "memory": MEMORY, "first_port": _FIRST_PORT}
        template = Path(__file__).with_name("slurm.conf.j2").read_text(encoding="utf-8")
        return Template(template, keep_trailing_newline=True).render(**where, **size)

    def _await(self, condition: Callable[[], bool]) -> None:
        if not await_true(condition, _PATIENCE, 0.2):
            raise TimeoutError(f"Slurm does not come up: nodes {self.states()}")
