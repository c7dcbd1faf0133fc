"""Data and results in S3, by a real server on this machine.

uv run --group remote pytest tests/remote
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import project
import standin
from background import Run
from project import Project, assert_fresh, runs

pytest.importorskip("dvc_s3", reason="the group `remote` is not installed")
pytest.importorskip("moto", reason="the group `remote` is not installed")

BUCKET = "results"
EARLIER, LATER = 0.006, 0.004
KEY, SECRET = "AKIAGRAFTTEST", "a-secret-of-nobody"


class Server:
    """An S3 server. What is stored lasts as long as its process."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        program = str(project.BIN / "moto_server")
        self.run = Run([program, "-H", "127.0.0.1", "-p", str(port)], Path(), os.environ)
        assert self.run.wait_until(self._answers, 60, 0.1), self.run.text
        request = urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT")
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/a")
        urllib.request.urlopen(request).close()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).close()
        except OSError:
            return False
        return True


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.run.kill()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "DEFAULT_REGION": "us-east-1"}
    for name, value in said.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def made(standins: Project, server: Server) -> Project:
    """A project that was built with two settings, whose remote is the server."""
    add_remote(standins, server)
    for rate in (EARLIER, LATER):
        standins.change({"head.learning_rate": rate})
        standins.dvc("repro")
        standins.commit()
    return standins


def add_remote(made: Project, server: Server) -> None:
    made.dvc("remote", "add", "--force", "--default", "store", f"s3://{BUCKET}/graft")
    made.dvc("remote", "modify", "store", "endpointurl", server.url)


def clone(made: Project, folder: Path) -> Project:
    subprocess.run(["git", "clone", "--quiet", made.folder, folder], check=True)
    # No stage makes the images, so a clone does not pull them.
    shutil.copytree(made.folder / "data/raw", folder / "data/raw", dirs_exist_ok=True)
    return Project(folder)


def test_a_clone_pulls_and_has_nothing_to_do(made: Project, tmp_path: Path) -> None:
    made.dvc("push", "--all-commits")
    other = clone(made, tmp_path / "other")
    other.dvc("pull")
    assert other.outputs() == made.outputs() == standin.expect(other.folder)
    assert_fresh(other)
    # What was committed before comes back, too.
    other.run("git", "checkout", "--quiet", "HEAD~1")
    other.dvc("pull")
    assert other.outputs() == standin.expect(other.folder)
    assert_fresh(other)


def test_what_is_only_fetched_is_built_from_the_cache(made: Project, tmp_path: Path) -> None:
    made.dvc("push")
    other = clone(made, tmp_path / "other")
    other.dvc("fetch")
    assert not runs(other.snakemake())
    assert other.outputs() == made.outputs()
    assert_fresh(other)


def test_credentials_are_nowhere(made: Project) -> None:
    made.dvc("push", "--verbose")
    for path in made.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content and KEY.encode() not in content, path


def test_a_server_that_goes_in_the_midst_of_a_push_costs_nothing(
    made: Project, server: Server, tmp_path: Path
) -> None:
    before = made.outputs()
    push = made.start("dvc", "push")
    server.run.send(signal.SIGSTOP)
    time.sleep(2)
    server.run.kill()
    assert push.wait() != 0
    assert made.outputs() == before
    assert_fresh(made)
    again = Server()
    try:
        add_remote(made, again)
        made.commit()
        made.dvc("push")
        other = clone(made, tmp_path / "other")
        other.dvc("pull")
        assert other.outputs() == before
    finally:
        again.run.kill()


def test_images_are_imported_from_s3(standins: Project, server: Server, tmp_path: Path) -> None:
    """By way of this machine, or straight into the remote, and then without a download."""
    add_remote(standins, server)
    images = standins.folder / "data/raw/tiny"
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", images)
    put = "import sys, boto3; boto3.client('s3', endpoint_url=sys.argv[1])"
    put += f".upload_file(sys.argv[2], {BUCKET!r}, 'photos.zip')"
    standins.run(sys.executable, "-c", put, server.url, archive)
    standins.dvc("remote", "add", "source", f"s3://{BUCKET}")
    standins.dvc("remote", "modify", "source", "endpointurl", server.url)
    standins.dvc("import-url", "remote://source/photos.zip", "data/raw/photos.zip")
    standins.change({"dataset.path": "data/raw/photos.zip"})
    standins.snakemake()
    assert_fresh(standins)
    standins.dvc("import-url", "--to-remote", "remote://source/photos.zip", "data/raw/later.zip")
    assert not (standins.folder / "data/raw/later.zip").exists()
    standins.dvc("import-url", "--no-download", "remote://source/photos.zip", "data/raw/last.zip")
    assert not (standins.folder / "data/raw/last.zip").exists()
    standins.dvc("pull", "data/raw/later.zip", "data/raw/last.zip")
    for name in ("later", "last"):
        copy = standins.folder / f"data/raw/{name}.zip"
        assert copy.read_bytes() == Path(archive).read_bytes()
