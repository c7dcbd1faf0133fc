"""What several test files share."""

from pathlib import Path

import pytest

import project


@pytest.fixture
def tiny(tmp_path: Path) -> project.Project:
    """A small project that has never been built."""
    return project.make(tmp_path / "project")
