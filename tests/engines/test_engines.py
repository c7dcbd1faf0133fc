"""Snakemake and DVC build the same files from one pipeline, and agree on what is stale.

The stages are stand-ins (`standin.py`): the tests check when they run, and with which inputs.
"""

import fnmatch
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import project
import standin
from graft.integrity.ground import flatten
from graft.project.choices import CORRECTIONS
from graft.project.parameters import read_values
from graft.project.pipeline import PACKAGE, Declaration, declarations
from graft.scheduling.dvc_memory import DvcMemory
from graft.scheduling.freshness import KeptVerdict
from project import FRESH, ROOT, Project, assert_fresh, assert_right, runs


def listed(made: Project, *arguments: str) -> dict[str, int]:
    """The rules that a dry run would run, each with how many jobs it has."""
    printed = made.snakemake("-n", *arguments)
    jobs = printed.partition("Job stats:")[2].partition("\n\n")[0]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", jobs, flags=re.MULTILINE))
    return {rule: int(n) for rule, n in counts.items() if rule not in {"all", "total"}}


def dependents(names: set[str], stages: list[Declaration]) -> set[str]:
    """The stages of these addresses, and all that depend on them, directly or not."""
    found, written = set(names), set[Path]()
    for stage in stages:
        if stage.address in found or not written.isdisjoint(stage.inputs):
            found.add(stage.address)
            written |= set(stage.outputs)
    return found


def test_snakemake_builds_what_dvc_builds(tmp_path: Path) -> None:
    made = project.make(tmp_path / "project", standins=True)
    made.snakemake("--cores", "8")
    assert_right(made)
    # A rule that is asked for by name has nothing to do either.
    assert FRESH in made.snakemake("report")


def test_dvc_builds_what_is_declared(standins: Project) -> None:
    assert standins.outputs() == standin.expect(standins.folder)
    assert not runs(standins.dvc("repro"))
    assert_fresh(standins)
    assert not standins.run("git", "status", "--porcelain")


def test_a_change_is_undone_without_a_run(standins: Project) -> None:
    """C by Snakemake, A by DVC, back to C: Snakemake must see that the outputs are those of A."""
    standins.snakemake()
    before = standins.outputs()
    standins.change({"head.learning_rate": 0.02})
    assert runs(standins.dvc("repro")) == {"head", "finetune", "evaluate", "report"}
    assert standins.outputs() != before
    standins.run("git", "checkout", "params.yaml")
    assert listed(standins) == {"head": 1, "finetune": 1, "evaluate": 2, "report": 1}
    printed = standins.snakemake()
    assert not runs(printed)
    assert "from DVC's cache: head, " in printed
    assert standins.outputs() == before
    assert_fresh(standins)


def test_corrections_rebuild_what_follows_and_git_brings_them_back(standins: Project) -> None:
    """Of an archive, in which no picture can be moved to another folder."""
    raw = standins.folder / "data/raw"
    shutil.make_archive(str(raw / "packed"), "zip", raw, "tiny")
    standins.change({"dataset.path": "data/raw/packed.zip"})
    standins.snakemake()
    before = standins.outputs()
    table = standins.folder / CORRECTIONS
    table.write_text("path,label\na/00.png,b\n", encoding="utf-8")
    assert {"manifest", "split", "head", "report"} <= runs(standins.dvc("repro"))
    assert standins.outputs() != before
    assert_fresh(standins)
    standins.run("git", "checkout", str(CORRECTIONS))
    assert not runs(standins.snakemake())
    assert standins.outputs() == before
    # Without the table there are no corrections.
    table.unlink()
    standins.snakemake()
    assert table.read_text(encoding="utf-8") == "path,id,label,leave_out\n"
    assert_fresh(standins)


def test_an_experiment_leaves_a_sound_workspace(standins: Project) -> None:
    before = standins.outputs()
    standins.dvc("exp", "run", "--temp", "-S", "report.smoothing=0.25")
    assert standins.outputs() == before
    assert_fresh(standins)
    standins.dvc("exp", "run", "-S", "report.smoothing=0.5")
    assert standins.outputs() != before
    assert_right(standins)
    assert "0.25" in standins.dvc("exp", "show", "--csv")


def test_remains_of_an_earlier_build_are_not_read(standins: Project) -> None:
    """A folder is declared as a whole, but a stage is given only the files declared in it."""
    for folder in ("tensors", "checked", "features", "duplicates", "depth", "backbone"):
        (standins.folder / "data" / folder / "9.npy").write_bytes(b"of a build with more shards")
    standins.change({"split.seed": 2})
    standins.dvc("repro")
    assert_right(standins)


def test_another_kind_of_division_rebuilds_what_follows_it(standins: Project) -> None:
    standins.change({"split.kind": "stratified"})
    for stage in (["tensors", "0"], ["duplicates"]):
        assert "unchanged" in standins.run("graft", *stage)
    built = runs(standins.snakemake())
    assert {"split", "warnings", "head"} <= built
    assert not {"manifest", "tensors", "duplicates", "backbone", "features"} & built
    assert_right(standins)
    standins.change({"split.kind": "hash"})
    assert "split" not in runs(standins.snakemake())


def test_a_wrong_parameter_stops_both_engines_before_anything_happens(standins: Project) -> None:
    standins.change({"head.learning_rate": -1})
    before = set(standins.folder.rglob("*"))
    printed = standins.snakemake(status=2)
    message = r"^snakemake: error: params.yaml: head.learning_rate must be .*\. Received: -1\n\Z"
    assert re.search(message, printed, re.MULTILINE)
    appeared = set(standins.folder.rglob("*")) - before
    assert all({".snakemake", "__pycache__"} & {*path.parts} for path in appeared)
    assert "params.yaml: head.learning_rate must be" in standins.dvc("repro", status=255)


def test_a_failing_stage_is_heard_through_both_engines(standins: Project) -> None:
    standins.change({"dataset.max_bad": standin.FAILING})
    message = re.compile(r"^graft split: error: .*dataset\.max_bad", flags=re.MULTILINE)
    before = (standins.folder / "dvc.lock").read_bytes()
    commands = (1, "snakemake", "--cores", "2", "data/split.csv"), (255, "dvc", "repro", "split")
    for status, *command in commands:
        printed = standins.run(*command, status=status)
        assert message.search(printed) and "Traceback" not in printed
    assert message.search((standins.folder / "logs/split.log").read_text(encoding="utf-8"))
    assert (standins.folder / "dvc.lock").read_bytes() == before


def table(name: str) -> Iterator[tuple[list[str], list[str]]]:
    """The rows of a table in the documentation: what is changed, and what becomes stale."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for changed, rebuilt in re.findall(r"^\| (`[^|]*`) \|.*?([^|]*)\|$", text, flags=re.MULTILINE):
        yield re.findall(r"`([^`]+)`", changed), re.findall(r"`([^`]+)`", rebuilt)


def changed_parameters(why: list[Any]) -> set[str]:
    """The parameters and sections among what DVC says has changed for a stage."""
    found = set[str]()
    for part in why:
        for what in (part if isinstance(part, dict) else {}).values():
            found |= set((what if isinstance(what, dict) else {}).get("params.yaml", ()))
    return found


def another(value: Any) -> Any:
    """Some other value of the same kind."""
    if isinstance(value, int | float):
        return value + 1
    return [*value, 8] if isinstance(value, list) else f"{value}-other"


def ask_dvc() -> dict[str, list[Any]]:
    """What DVC calls stale in the present folder."""
    return DvcMemory(declarations(read_values())).ask()


@pytest.fixture
def inside(standins: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The same, for functions that ask DVC in the present folder."""
    monkeypatch.chdir(standins.folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", f"{standins.folder}.site")
    return standins


def rebuilt_by_parameter(values: dict[str, Any]) -> dict[str, set[str]]:
    """The table in docs/parameters.md by key: the addresses of the stages, with the report."""
    stages, flat = declarations(values), flatten(values)
    expected = {}
    for patterns, rebuilt in table("docs/parameters.md"):
        names = {"report", *rebuilt}
        for key in chain(*(fnmatch.filter(flat, pattern) for pattern in patterns)):
            assert key not in expected, f"{key} has two rows"
            expected[key] = {
                s.address for s in stages if {s.address, s.address.partition("@")[0]} & names
            }
    assert sorted(expected) == sorted(flat)
    return expected


def test_each_parameter_rebuilds_what_the_table_says(inside: Project) -> None:
    (inside.folder / "data/raw/tiny-other").symlink_to("tiny")
    values = inside.values()
    stages, flat, expected = declarations(values), flatten(values), rebuilt_by_parameter(values)
    # The path is also a dependency, whose name the other parameters would share: it goes alone.
    alone = {"dataset.path": another(flat["dataset.path"])}
    others = {key: another(value) for key, value in flat.items() if key not in alone}
    for changes in (alone, others):
        inside.change(changes)
        verdict = ask_dvc()
        for key in changes:
            # DVC names the section where a stage reads all of it.
            names = {key, key.partition(".")[0]}
            first = {name for name, why in verdict.items() if names & changed_parameters(why)}
            if key in alone:
                first = set(verdict)
            assert dependents(first, stages) == expected[key], key
        inside.run("git", "checkout", "params.yaml")
    assert not ask_dvc()


def test_each_room_makes_stale_what_the_table_says(inside: Project) -> None:
    """A file of each room is changed; exactly the stages of its row are stale."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] != "_"}
    rows = [(names[0], stale_) for names, stale_ in table("CONTRIBUTING.md")]
    expected = {name: set(stages) for name, stages in rows if name in rooms}
    assert set(expected) == rooms
    everything = {stage.address.partition("@")[0] for stage in declarations(inside.values())}
    for room, stages in expected.items():
        (inside.folder / PACKAGE / room / "touched.py").write_text("# a change\n")
        found = {address.partition("@")[0] for address in ask_dvc()}
        assert found == (everything if stages == {"all"} else stages), room
        (inside.folder / PACKAGE / room / "touched.py").unlink()
    assert not ask_dvc()


def test_a_larger_network_asks_for_more(standins: Project) -> None:
    def ask() -> dict[str, tuple[int, int]]:
        printed = standins.snakemake("--dry-run", "--forceall", "--verbose")
        found = re.findall(r"rule (\w+):.*?runtime=(\d+), mem_mb=(\d+)", printed, re.DOTALL)
        return {rule: (int(memory), int(minutes)) for rule, minutes, memory in found}

    small = ask()
    assert small["finetune"] == (4009, 60) and small["split"] == (500, 10)
    standins.change({"backbone.name": "EfficientNetV2S", "image.side": 320})
    large = ask()
    assert large["split"] == small["split"]
    assert large["finetune"] == (4 * 4000 + 407, round(60 * 4 * 9.0043**0.5))
    assert large["features"][1] > 10 * small["features"][1]


def test_a_kept_verdict_is_the_one_of_dvc(inside: Project) -> None:
    """Nothing that DVC would see is missed, also where size and time of writing stay."""
    stages = declarations(inside.values())
    image = next(Path("data/raw/tiny").rglob("*.png"))
    time.sleep(0.1)  # the clock of the file system goes on
    KeptVerdict(stages).keep()
    assert KeptVerdict(stages).holds()
    others = ("data/split.csv", "reports/index.html", "params.yaml", PACKAGE / "common/tables.py")
    for path in map(Path, (image, *others)):
        before, times = path.read_bytes(), path.stat()
        for content in (b" " + before[1:], before):
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            assert not KeptVerdict(stages).holds(), path
        time.sleep(0.1)
        KeptVerdict(stages).keep()
    image.with_name("new.png").write_bytes(b"new")
    assert not KeptVerdict(stages).holds() and "manifest" in ask_dvc()


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_new_key_makes_stale_the_stages_of_its_section(inside: Project) -> None:
    """A key in the schema and in one section: the stages that read the section, and the report."""
    key = "    difference: Fraction\n"
    replace(inside.folder / PACKAGE / "project/schema.py", key, f"{key}    surplus: Fraction\n")
    assert not ask_dvc()
    replace(inside.folder / "params.yaml", "duplicates:\n", "duplicates:\n  surplus: 0.5\n")
    assert set(ask_dvc()) == {"duplicates", "report"}
    inside.dvc("repro")
    assert inside.run("python", "-m", "graft", "duplicates").count("error") == 0


@pytest.mark.parametrize(
    ("key", "value"), [("report.smoothing", 0.3), ("augment.zoom", 0.2), ("backbone.seed", 7)]
)
def test_a_dry_run_lists_what_the_table_says(standins: Project, key: str, value: Any) -> None:
    before = standins.outputs()
    expected = rebuilt_by_parameter(standins.values())[key]
    standins.change({key: value})
    assert listed(standins) == Counter(address.partition("@")[0] for address in expected)
    standins.run("git", "checkout", "params.yaml")
    assert standins.outputs() == before
    assert FRESH in standins.snakemake("-n")
