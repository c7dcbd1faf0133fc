"""A part of the table; `python -m tests.surroundings` tries all of it, also on real stages."""

from pathlib import Path

import pytest

from cases import read_cases
from faults.bases import Base
from surroundings.scene import SKIPPED, look_at
from surroundings.table import all_surroundings

ALL = {surrounding.name: surrounding for surrounding in all_surroundings()}


@pytest.mark.parametrize("name", read_cases(__file__)["tried"])
def test_a_surrounding_has_its_verdict(name: str, base: Base, tmp_path: Path) -> None:
    assert not ALL[name].real
    verdict, why = look_at(ALL[name], base, tmp_path / "scene")
    if verdict == SKIPPED:
        pytest.skip(why)
    assert verdict == ALL[name].expected, why


def test_there_are_many() -> None:
    assert len(ALL) >= 40 and any(surrounding.real for surrounding in ALL.values())
