"""A project with a model, and what serves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opened import Opened, build_set, copy_set, opened


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a model."""
    folder = tmp_path_factory.mktemp("built") / "project"
    build_set(folder)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of the project."""
    return copy_set(built, tmp_path / "project")


@pytest.fixture
def server(folder: Path) -> Iterator[Opened]:
    """The copy's server."""
    with opened(folder) as running:
        yield running
