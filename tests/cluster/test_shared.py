"""Nodes that share only a network file system build the same.

    uv run --extra slurm pytest tests/cluster/test_shared.py

Each node has a mount of its own, and sees the locks of others only through the server.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from background import await_true
from cluster import gluster
from cluster.runs import PATIENCE, lose_its_node, start
from cluster.slurm import Slurm, find_missing, run_slurm
from project import Project, assert_right

pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra `slurm` is not installed")
if missing := find_missing() or gluster.find_missing():
    pytest.skip(missing, allow_module_level=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Slurm]]:
    """Where the shared files are, and the nodes that share them."""
    with (
        gluster.share(tmp_path_factory.mktemp("shared")) as (folder, mount),
        run_slurm(tmp_path_factory.mktemp("slurm"), mount) as slurm,
    ):
        yield folder, slurm


@pytest.fixture(params=["false", "true"])
def shared(
    _standins: Project, cluster: tuple[Path, Slurm], request: pytest.FixtureRequest
) -> Project:
    """A project on the shared files, in which two jobs are to be run, with both locks of DVC."""
    folder, slurm = cluster
    assert await_true(slurm.is_idle, PATIENCE, 0.2)
    made = _standins.copy(folder / request.node.name)
    for lock in ("lock", "rwlock.lock"):  # DVC waits for ever for one of the other kind
        (made.folder / ".dvc/tmp" / lock).unlink(missing_ok=True)
    made.dvc("config", "core.hardlink_lock", request.param)
    made.change({"finetune.epochs": 2})
    return made


def test_nodes_share_a_file_system(shared: Project) -> None:
    start(shared).end()
    assert_right(shared)


def test_a_node_that_is_lost_leaves_no_locks(shared: Project, cluster: tuple[Path, Slurm]) -> None:
    lose_its_node(shared, cluster[1], "finetune")
    assert_right(shared)
