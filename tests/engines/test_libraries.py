"""Another version of a library makes those stages stale that compute with it, and no others."""

import json
from pathlib import Path

import pytest

from graft.integrity.libraries import LIBRARIES, VERSIONS, find_versions
from graft.integrity.yaml12 import read_yaml_file
from graft.project.pipeline import PACKAGE
from graft.report.sections.provenance import list_versions
from images import ROOT
from project import FRESH, Project, assert_fresh, runs
from sources import third_party

# What takes part in a result; others check, log, start or test.
COMPUTING = {
    "imagehash",
    "jinja2",
    "keras",
    "keras-hub",
    "matplotlib",
    "numpy",
    "openvino",
    "pandas",
    "pillow",
}
COMPUTING |= {"pillow-heif", "scikit-learn", "scipy", "tensorflow"}


def install(folder: Path, name: str) -> Path:
    """Lets a library seem to be installed in version 99, and returns what says so."""
    about = folder / "workflow" / f"{name.replace('-', '_')}-99.dist-info/METADATA"
    about.parent.mkdir()
    about.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99\n", encoding="utf-8")
    return about


def test_each_room_has_the_libraries_that_it_computes_with() -> None:
    rooms = {room for body in bodies().values() for room in used_rooms(body)}
    for room in rooms:
        files = (ROOT / PACKAGE / room).rglob("*.py")
        imported = set().union(*map(third_party, files))
        of_all = LIBRARIES["common"] if room != "common" else ()
        own = {"graft"} if room == "training" else set()  # whose release is in the models
        assert {*LIBRARIES.get(room, ()), *of_all} == imported & COMPUTING | {*of_all} | own, room
    assert set(LIBRARIES) <= rooms
    # Longer texts are folded in dvc.lock, and then written by the slow one of two programs.
    assert max(map(len, find_versions().values())) <= 60


@pytest.mark.parametrize("stage", read_yaml_file(ROOT / "dvc.yaml")["stages"])
def test_a_stage_lists_the_libraries_of_its_rooms(stage: str) -> None:
    body = bodies()[stage]
    listed = [entry[str(VERSIONS)] for entry in body["params"] if str(VERSIONS) in entry]
    rooms = [room for room in used_rooms(body) if room in LIBRARIES]
    if stage == "report":  # the page names versions
        rooms = ["common", "models", "judging", "statistics", "training", "report"]
        named = {name for room in rooms for name in LIBRARIES[room]}
        assert set(list_versions()) <= named
    assert listed == [rooms]


def bodies() -> dict[str, dict]:
    """The stages of dvc.yaml."""
    stages = read_yaml_file(ROOT / "dvc.yaml")["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def used_rooms(body: dict) -> list[str]:
    """The rooms that a stage lists."""
    return [Path(path).name for path in body["deps"] if Path(path).is_relative_to(PACKAGE)]


def test_both_engines_follow_a_version(standins: Project) -> None:
    made, before = standins, standins.outputs()
    text = (made.folder / VERSIONS).read_text(encoding="utf-8")
    for name in ("pytest", "ruff", "dvc", "snakemake"):
        install(made.folder, name)
    assert FRESH in made.snakemake() and json.loads(made.dvc("status", "--json")) == {}
    about = install(made.folder, "scikit-learn")
    made.snakemake("-n")
    assert "scikit-learn 99" in (made.folder / VERSIONS).read_text(encoding="utf-8")
    stale = {address.partition("@")[0] for address in json.loads(made.dvc("status", "--json"))}
    users = {room for room, names in LIBRARIES.items() if "scikit-learn" in names}
    direct = {stage for stage, body in bodies().items() if users & {*used_rooms(body)}}
    assert stale == direct and "tensors" not in stale and "evaluate" in stale
    # DVC goes by the file. A stage refuses to run while that is old, and names what renews it.
    (made.folder / VERSIONS).write_text(text, encoding="utf-8")
    made.change({"head.class_weight": "balanced"})
    assert "`uv run snakemake -n` writes it" in made.dvc("repro", status=255)
    made.run("git", "checkout", "params.yaml")
    assert runs(made.snakemake()) >= {"cross_validation"}
    assert_fresh(made)
    # What the version before has made comes back, and nothing runs.
    about.unlink()
    about.parent.rmdir()
    assert not runs(made.snakemake())
    assert (made.folder / VERSIONS).read_text(encoding="utf-8") == text
    assert made.outputs() == before
    assert_fresh(made)


def test_kerashub_counts_where_the_network_is_its_own() -> None:
    own, others = find_versions("hub/dinov2_small"), find_versions("MobileNetV2")
    assert "keras-hub" in own["models"] and "keras-hub" not in others["models"]
    assert {room for room in own if own[room] != others[room]} == {"models"}


def test_a_file_of_versions_that_cannot_be_read_is_written_anew(standins: Project) -> None:
    path = standins.folder / VERSIONS
    text = path.read_text(encoding="utf-8")
    for broken in ("<<<<<<< ours\n" + text, None):
        path.unlink()
        if broken:
            path.write_text(broken, encoding="utf-8")
        assert FRESH in standins.snakemake()
        assert path.read_text(encoding="utf-8") == text


def test_a_stage_refuses_what_other_versions_have_made(standins: Project) -> None:
    install(standins.folder, "pillow")
    standins.snakemake("-n")
    printed = standins.run("graft", "head", status=2)
    assert "with the same settings: run the whole pipeline again" in printed
    assert "libraries of decoder are pillow 99, pillow-heif" in printed
