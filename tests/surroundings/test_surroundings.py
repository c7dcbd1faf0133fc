"""What takes stand-in stages alone; `python -m tests.surroundings` tries the rest, too."""

from pathlib import Path

import pytest

from faults.bases import Base
from faults.table import bases
from surroundings.scene import SKIPPED, Surrounding, look_at
from surroundings.table import all_surroundings

ALL = all_surroundings()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A built project of stand-ins."""
    return bases(tmp_path_factory.mktemp("bases"))[False]


@pytest.mark.parametrize("surrounding", [s for s in ALL if not s.real], ids=lambda s: s.name)
def test_a_surrounding_has_its_verdict(
    surrounding: Surrounding, base: Base, tmp_path: Path
) -> None:
    verdict, why = look_at(surrounding, base, tmp_path / "scene")
    if verdict == SKIPPED:
        pytest.skip(why)
    assert verdict == surrounding.expected, why


def test_there_are_many() -> None:
    assert len(ALL) >= 40 and any(surrounding.real for surrounding in ALL)
