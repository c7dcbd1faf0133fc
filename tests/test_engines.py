"""Snakemake and DVC build the same files from one pipeline, and agree on what is stale."""

import fnmatch
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import project
from graft.project import engines as bridge
from graft.project import parameters
from project import ROOT, Project
from reference import Reference

TRAINING = ("backbone", "head", "finetune")
FRESH = "Nothing to be done"
UP_TO_DATE = "Data and pipelines are up to date."


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def reference(workplace: Path) -> Reference:
    return Reference(workplace / "reference")


@pytest.fixture(scope="module")
def built(workplace: Path, reference: Reference) -> dict[str, Project]:
    """Three projects, each built from nothing in its own way."""
    ways: dict[str, Callable[[Project], object]] = {
        "repro": lambda made: (made.dvc("repro"), reference.build(made)),
        "one": lambda made: made.snakemake("--cores", "1"),
        "eight": lambda made: made.snakemake("--cores", "8"),
    }
    projects = {name: project.make(workplace / name) for name in ways}
    # Most of a tiny stage is its start, on one core: side by side they fill the machine.
    with ThreadPoolExecutor(len(ways)) as pool:
        list(pool.map(lambda name: ways[name](projects[name]), ways))
    for made in projects.values():
        made.commit()
    return projects


def assert_fresh(made: Project) -> None:
    """Neither engine finds anything to do."""
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(made.dvc, "--wait-for-lock", "status")
        assert FRESH in made.snakemake()
        assert status.result().strip().endswith(UP_TO_DATE)


def listed(made: Project, *arguments: str) -> dict[str, int]:
    """The rules that a dry run would run, each with how many jobs it has."""
    printed = made.snakemake("-n", *arguments)
    jobs = printed.partition("Job stats:")[2].partition("\n\n")[0]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", jobs, flags=re.MULTILINE))
    return {rule: int(n) for rule, n in counts.items() if rule not in {"all", "total"}}


def runs(printed: str) -> set[str]:
    """The stages whose own command ran, by what DVC printed."""
    return set(re.findall(r"^> graft (\w+)", printed, flags=re.MULTILINE))


def test_every_way_of_building_gives_the_same_bytes(built, reference) -> None:
    expected = reference.build(built["repro"])
    for made in built.values():
        assert made.outputs() == expected


def test_neither_engine_finds_anything_to_do_after_the_other(built) -> None:
    for made in built.values():
        assert_fresh(made)
        assert not runs(made.dvc("repro"))
        # A rule that is asked for by name has nothing to do either.
        assert FRESH in made.snakemake("report")
        assert not made.run("git", "status", "--porcelain")


def test_a_change_is_undone_without_training(built, workplace) -> None:
    """C by Snakemake, A by DVC, back to C: Snakemake must see that A's outputs lie there."""
    made = built["eight"].copy(workplace / "undone")
    before = made.outputs()
    made.change({"head.learning_rate": 0.02})
    assert runs(made.dvc("repro")) == {"params", "head", "finetune", "evaluate", "report"}
    assert made.outputs() != before
    made.run("git", "checkout", "params.yaml")
    assert listed(made) == {"params": 1, "head": 1, "finetune": 1, "evaluate": 2, "report": 1}
    printed = made.snakemake()
    assert not runs(printed)
    assert "Stage 'finetune' is cached - skipping run" in printed
    assert made.outputs() == before
    assert_fresh(made)


def test_an_experiment_leaves_a_sound_workspace(built, workplace) -> None:
    made = built["repro"].copy(workplace / "experiment")
    before = made.outputs()
    made.dvc("exp", "run", "--temp", "-S", "report.smoothing=0.25")
    assert made.outputs() == before
    assert_fresh(made)
    made.dvc("exp", "run", "-S", "report.smoothing=0.5")
    assert made.outputs() != before
    assert_fresh(made)
    assert "0.25" in made.dvc("exp", "show", "--csv")


def test_a_wrong_parameter_stops_both_engines_before_anything_happens(tiny) -> None:
    tiny.change({"head.learning_rate": -1})
    before = set(tiny.folder.rglob("*"))
    printed = tiny.snakemake(status=2)
    assert re.fullmatch(
        r"snakemake: error: params.yaml: head.learning_rate must be .*\. Received: -1\n", printed
    )
    assert all(".snakemake" in path.parts for path in set(tiny.folder.rglob("*")) - before)
    message = "params.yaml: head.learning_rate must be"
    assert message in tiny.dvc("repro", status=255)


def test_a_failing_stage_is_heard_through_both_engines(tiny) -> None:
    for picture in list((tiny.folder / "data/raw/tiny/a").iterdir())[:5]:
        picture.write_bytes(b"not a picture")
    message = re.compile(r"^graft split: error: .*dataset\.max_bad", flags=re.MULTILINE | re.DOTALL)
    for printed in (
        tiny.snakemake("data/split.csv", status=1),
        tiny.dvc("repro", "split", status=255),
    ):
        assert message.search(printed)
        assert "Traceback" not in printed
    assert message.search((tiny.folder / "logs/split.log").read_text(encoding="utf-8"))


def table() -> Iterator[tuple[list[str], list[str]]]:
    """The rows of the table in docs/parameters.md: patterns of parameters, patterns of stages."""
    text = (ROOT / "docs/parameters.md").read_text(encoding="utf-8")
    for changed, rebuilt in re.findall(r"^\| (`.*`) \|(.*)\|$", text, flags=re.MULTILINE):
        yield re.findall(r"`([^`]+)`", changed), re.findall(r"`([^`]+)`", rebuilt)


def changed(why: list[Any]) -> set[str]:
    """The parameters among what DVC says has changed for a stage."""
    found = set[str]()
    for part in why:
        for what in (part if isinstance(part, dict) else {}).values():
            found |= set((what if isinstance(what, dict) else {}).get("params.yaml", ()))
    return found


def other(value: Any) -> Any:
    """Some other value of the same kind."""
    match value:
        case int() | float():
            return value + 1
        case list():
            return [*value, 8]
        case _:
            return f"{value}-other"


def test_each_parameter_rebuilds_what_the_table_says(built, workplace, monkeypatch) -> None:
    made = built["eight"].copy(workplace / "table")
    (made.folder / "data/raw/tiny-other").symlink_to("tiny")
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", f"{made.folder}.site")
    values = made.values()
    stages = bridge.declarations(values)
    flat = parameters.flatten(values)
    expected = {}
    for patterns, rebuilt in table():
        names = {"params", "report", *rebuilt}
        for key in chain(*(fnmatch.filter(flat, pattern) for pattern in patterns)):
            assert key not in expected, f"{key} has two rows"
            expected[key] = {s.name for s in stages if {s.name, s.name.partition("@")[0]} & names}
    assert sorted(expected) == sorted(flat)
    # The path is also a dependency, whose name the other parameters would share: it goes alone.
    alone = {"dataset.path": other(flat["dataset.path"])}
    for changes in (alone, {key: other(value) for key, value in flat.items() if key not in alone}):
        made.change(changes)
        verdict = bridge.stale()
        for key in changes:
            # What the stage `params` depends on is the whole of params.yaml.
            first = {"params", *(name for name, why in verdict.items() if key in changed(why))}
            if key in alone:
                first = verdict
            assert bridge.dependents(first, stages) == expected[key], key
        made.run("git", "checkout", "params.yaml")
    assert not bridge.stale()


@pytest.mark.parametrize(
    ("key", "value", "rules"),
    [
        ("report.smoothing", 0.3, {"params": 1, "report": 1}),
        (
            "augment.zoom",
            0.2,
            {"params": 1, "views": 1, "head": 1, "finetune": 1, "evaluate": 2, "report": 1},
        ),
        (
            "backbone.seed",
            7,
            {"params": 1, "backbone": 1, "features": 4, "views": 1, "depth": 1, "head": 1}
            | {"finetune": 1, "evaluate": 2, "report": 1},
        ),
    ],
)
def test_a_dry_run_lists_what_the_table_says(built, key, value, rules) -> None:
    made = built["one"]
    before = made.outputs()
    made.change({key: value})
    assert listed(made) == rules
    made.run("git", "checkout", "params.yaml")
    assert made.outputs() == before
    assert FRESH in made.snakemake("-n")


class Walk:
    """What people do to a project, one thing after another."""

    choices = (
        ("report.smoothing", (0.8, 0.5)),
        ("dataset.max_bad", (0.05, 0.1)),
        ("head.learning_rate", (0.003, 0.02)),
    )

    def __init__(self, made: Project, reference: Reference, seed: int) -> None:
        self.made, self.reference, self.random = made, reference, random.Random(seed)
        self.commits = [made.run("git", "rev-parse", "HEAD").strip()]

    def edit(self) -> str:
        key, values = self.random.choice(self.choices)
        now = parameters.flatten(self.made.values())[key]
        value = next(value for value in values if value != now)
        self.made.change({key: value})
        return f"{key} = {value}"

    def add_image(self) -> str:
        project.add_image(self.made.folder, label=1, number=14)
        return ""

    def delete_output(self) -> str:
        stages = bridge.declarations(self.made.values())
        outputs = [path for stage in stages for paths in stage.outputs.values() for path in paths]
        path = self.random.choice(outputs)
        (self.made.folder / path).unlink(missing_ok=True)
        return str(path)

    def commit(self) -> str:
        self.commits.append(self.made.commit())
        return self.commits[-1][:7]

    def checkout(self) -> str:
        name = self.random.choice(self.commits)
        self.made.run("git", "checkout", "--quiet", "--force", name)
        return name[:7]

    def checkout_all(self) -> str:
        name = self.checkout()
        self.made.dvc("checkout", "--force")
        return name

    def snakemake(self) -> str:
        return self.build(self.made.snakemake)

    def repro(self) -> str:
        return self.build(lambda: self.made.dvc("repro"))

    def build(self, engine: Callable[[], str]) -> str:
        with ThreadPoolExecutor(1) as pool:
            expected = pool.submit(self.reference.build, self.made)
            printed = engine()
        assert_fresh(self.made)
        outputs = self.made.outputs()
        assert [p for p, content in expected.result().items() if content != outputs[p]] == []
        return f"ran {sorted(runs(printed))}"


@pytest.mark.parametrize("seed", [9])
def test_a_random_walk_always_arrives_at_the_right_files(built, reference, workplace, seed) -> None:
    walk = Walk(built["eight"].copy(workplace / f"walk-{seed}"), reference, seed)
    changes = [walk.edit, walk.commit, walk.checkout, walk.checkout_all, walk.delete_output]
    walk.random.shuffle(changes)
    changes = [walk.edit, *changes[:2], walk.add_image, *changes[2:]]
    story = []
    for change in changes:
        engine = walk.random.choice([walk.snakemake, walk.repro])
        # Now and then two things happen before anyone builds again.
        unbuilt = change is not changes[-1] and walk.random.random() < 0.2
        for step in (change,) if unbuilt else (change, engine):
            story.append(step.__name__)
            try:
                story[-1] += f": {step()}"
            except AssertionError as error:
                raise AssertionError("\n".join([*story, str(error)])) from None
    print("\n".join(story))
