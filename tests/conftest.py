"""What several test files share."""

import os
import shutil
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# What helpers assert is told as fully as what tests do.
pytest.register_assert_rewrite("background", "images", "packing", "project")

import commands  # noqa: E402
import images  # noqa: E402
import project  # noqa: E402
from faults.bases import Base  # noqa: E402
from graft.integrity.locks import one_at_a_time  # noqa: E402

# As graft itself does: without what Python keeps of compiled modules, tests take twice as long.
sys.dont_write_bytecode = False

# Behind `nohup` or `&` Ctrl-C is ignored, and would be in all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The longest files come first, so that the workers end at about the same time.
LONG = (
    *("test_export", "test_resuming", "test_surroundings", "test_build", "test_walk"),
    *("test_integrity", "test_engines", "test_faults", "test_snakemake", "test_kerashub"),
    *("test_study", "test_finetune"),
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the tests on a real Slurm, which take minutes each, unless they are named."""
    named = any("cluster" in argument for argument in config.args)
    return True if collection_path.name == "cluster" and not named else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the files with tests."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium that needs no screen."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="needs `uv run --group browser pytest`")
    with api.sync_playwright() as playwright:
        # Without a sandbox it runs as root too, and the pages ask for nothing from outside.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def share(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that one worker builds and all of them have.

    Args:
        factory: makes the folders of this worker, inside the folder of all workers.
        name: of the folder.
        build: makes it, and what belongs to it beside it.
    """
    own = factory.getbasetemp()
    top = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"shared-{name}"
    folder, whole = top / name, top / "whole"
    with one_at_a_time(top / "lock", f"waiting for the worker that builds {name}"):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
            build(folder)
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def _standins(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    def build(folder: Path) -> None:
        made = project.make(folder, standins=True)
        made.dvc("repro")
        made.commit()

    return project.Project(share(tmp_path_factory, "standins", build))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """A small project with its real stages, built by Snakemake: for copies."""
    folder = share(tmp_path_factory, "real", lambda new: project.make(new).snakemake())
    return project.Project(folder)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A project with stand-in stages, built with several settings; trials work on copies of it."""
    folder = share(tmp_path_factory, "base", lambda new: Base(new, real=False).build())
    return Base(folder, real=False, built=True)


@pytest.fixture
def standins(_standins: project.Project, tmp_path: Path) -> project.Project:
    """A project with stand-in stages, already built by DVC, with its history and caches."""
    return _standins.copy(tmp_path / "project")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, where the test is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def here(empty: Path) -> Path:
    """A folder to run stages in, where the test is; its data set is the folder `photos`."""
    images.workspace(empty)
    return empty


@pytest.fixture(scope="session")
def screen() -> commands.Command:
    """Runs a command here: its exit status, and output and errors as they appear."""
    return commands.open_screen(keras=False).run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the weights and classes that Keras keeps, empty, and no network."""
    import graft.models.framework  # noqa: F401

    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "home"))
    monkeypatch.setattr("keras.src.applications.imagenet_utils.CLASS_INDEX", None)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it has read the old proxy
    (tmp_path / "home/models").mkdir(parents=True)
    return tmp_path / "home/models"


@pytest.fixture
def nothing_outside(here: Path) -> Iterator[None]:
    """Nothing is written but what a test and its stages make, whatever an archive asks for."""
    secret = images.encoded(images.picture(71))
    (here / "secret.png").write_bytes(secret)
    around = set(here.parent.iterdir())
    yield
    assert set(here.parent.iterdir()) == around
    assert (here / "secret.png").read_bytes() == secret
    known = {".graft", "data", "workflow", "params.yaml", "dvc.yaml", "secret.png"}
    assert all(path.name in known or "photos" in path.name for path in here.iterdir())
