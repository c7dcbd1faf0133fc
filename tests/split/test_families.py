"""Families of files: which names are told of, and that the named command keeps them together."""

import re
import shlex

import pandas as pd
import pytest

from graft.common.cautions import Caution
from graft.integrity.yaml12 import read_yaml
from graft.split.families import suggest_families
from graft.split.units import find_groups


def suggest(names: list[str], near: bool = False, classes: int = 2) -> list[Caution]:
    """What is said of files of two classes, half of each.

    Args:
        names: of the files, the first half of one class.
        near: whether each second file is a near copy of the one before.
        classes: as many.
    """
    labels = ["abcdefgh"[number * classes // len(names)] for number in range(len(names))]
    cluster = [f"c{number - number % 2}" if near else f"c{number}" for number in range(len(names))]
    files = pd.DataFrame(
        {
            "path": [f"{label}/{name}" for label, name in zip(labels, names, strict=True)],
            "label": labels,
            "group": "",
            "cluster": cluster,
            "unit": range(len(names)),
        }
    )
    return list(suggest_families(files))


def find_families(caution: Caution, paths: list[str]) -> list[str]:
    """The groups that the suggested command makes."""
    words = shlex.split(caution.command)
    assert words[:5] == ["uv", "run", "graft", "use", "--set"]
    key, _, value = words[5].partition("=")
    assert key == "dataset.group" and read_yaml(value.encode()) == value
    table = pd.DataFrame({"path": paths, "group": ""})
    return find_groups(table, value).tolist()


FAMILIES = {
    "Roboflow's": ["rose{n}_jpg.rf.0a1b2c3d4e5f.jpg", "rose{n}_jpg.rf.ffeeddccbbaa.jpg"],
    "changed copies by": ["rose{n}.jpg", "rose{n}_mirrored.jpg", "rose{n}_ROT90.jpg"],
    "changed copies by their": ["{n}.png", "{n}-flip-aug3.png"],
    "with the change in front": ["rose-{n}.jpg", "aug_3_rose-{n}.jpg"],
    "films": ["clip{n}_frame_0012.jpg", "clip{n}_frame_0013.jpg"],
    "bursts": ["2020110{n}_BURST1.jpg", "2020110{n}_BURST2.jpg"],
    "copies with a number": ["rose{n}.jpg", "rose{n} (1).jpg", "rose{n} (2).jpg"],
    "Keras'": ["rose{n}.jpg", "rose{n}_0_1234.jpeg", "rose{n}_0_77.jpeg"],
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_is_named_with_the_command_that_keeps_it(kind: str) -> None:
    names = [name.format(n=n) for n in range(10, 22) for name in FAMILIES[kind]]
    (caution,) = suggest(names)
    assert kind in caution.text and f"{len(names)} of {len(names)} files" in caution.text
    groups = find_families(caution, [f"a/{name}" for name in names])
    size = len(FAMILIES[kind])
    assert len(set(groups)) == 12
    assert all(len(set(groups[n : n + size])) == 1 for n in range(0, len(groups), size))


OTHERS = {
    "numbers": [f"{n}.jpg" for n in range(40)],
    "a camera": [f"IMG_{4000 + n}.JPG" for n in range(40)],
    "one name": [f"rose ({n}).jpg" for n in range(40)],
    "hashes": [f"{n * 7919 % 10007}_{n * 104729 % 65537:x}_n.jpg" for n in range(40)],
    "too few": [f"{n}.jpg" for n in range(40)] + ["1_flip.jpg", "30_flip.jpg"],
    "one family a class": [f"cat_{n % 2}_{n}.jpg" for n in range(40)],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_names_are_no_families(kind: str) -> None:
    assert suggest(OTHERS[kind]) == []


def test_equal_names_in_two_parts_are_no_family() -> None:
    names = [f"a/{n}{end}.png" for n in range(20) for end in ("", "_flip")]
    paths = [f"{part}/{name}" for part in ("train", "test") for name in names]
    files = pd.DataFrame({"path": paths, "label": "a", "group": "", "cluster": paths})
    files["unit"] = range(len(files))
    assert list(suggest_families(files)) == []
    assert len(list(suggest_families(files[:40]))) == 1


def test_numbers_are_a_family_where_near_copies_say_so() -> None:
    names = [f"walk{n // 4}-{n}.jpg" for n in range(48)]
    assert suggest(names) == []
    (caution,) = suggest(names, near=True)
    assert re.search(
        r"48 of 48 files are series by their names, such as 'a/walk\d+-\d+.jpg'", caution.text
    )
    assert len(set(find_families(caution, [f"a/{name}" for name in names]))) == 12
