"""`graft study`: what a file may say, which runs are made, and what is found."""

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cases import read_cases
from graft.common.errors import UserError
from graft.common.tables import read_table
from graft.revisions.git import ask_git
from graft.studies.conduct import Conducted
from graft.studies.declaration import find_study, list_studies, plan_runs, read_study
from graft.studies.findings import describe_findings, find_out, write_findings
from graft.studies.outcomes import gather_outcomes
from project import ROOT, TINY, Project, add_image, reached, runs
from repositories import commit, git, write_results

CASES = read_cases(__file__)

# Makes the runs of a study as the command does; results of stand-ins cannot be compared.
CONDUCT = """
import json, sys
from pathlib import Path
from graft.studies.conduct import conduct_study
from graft.studies.declaration import plan_runs, read_study
study = read_study(Path(sys.argv[1]))
found = conduct_study(study.name, plan_runs(study, None, {}, False), 1, None)
print(json.dumps([found.experiments, found.failed]))
"""


def write_study(path: Path, settings: Sequence[str], seeds: int = 1) -> Path:
    """A study whose settings differ in the number of epochs of fine-tuning."""
    own = {name: {"finetune.epochs": len(name)} for name in settings}
    study = {"recipe": "digits", "seeds": seeds, "always": TINY, "settings": own}
    path.write_text(json.dumps(study), encoding="utf-8")
    return path


def conduct(made: Project, study: Path) -> tuple[dict[str, str], set[str]]:
    """The experiments of a study after its runs, and the names of those that were made now."""
    printed = made.run(sys.executable, "-c", CONDUCT, str(study))
    (experiments, failed) = json.loads(printed.splitlines()[-1])
    assert not failed
    return experiments, set(re.findall(r"^(\S+): \d+ s$", printed, re.MULTILINE))


def logged(made: Project, study: str) -> dict[str, set[str]]:
    """The stages that each run of a study has run, by the log of its engine."""
    logs = (made.folder / f".graft/studies/{study}/logs").glob("*.log")
    return {log.stem: runs(log.read_text()) for log in logs}


def test_what_settings_share_is_made_once(standins: Project, tmp_path: Path) -> None:
    study = write_study(tmp_path / "own.yaml", ["one", "three", "seventh"])
    found, fresh = conduct(standins, study)
    assert fresh == set(found) == {f"own-{name}-seed1" for name in ("one", "three", "seventh")}
    ran = logged(standins, "own")
    # The project is built, with other numbers of epochs: the cache has all that comes before.
    later = {"finetune", "evaluate", "report"}
    assert all(stages == later for stages in ran.values()), ran
    # The folder of the user is as it was, and an experiment is what DVC can bring there.
    assert standins.run("git", "status", "--porcelain") == ""
    assert "own-seventh-seed1" in standins.dvc("exp", "list", "--name-only")
    standins.dvc("exp", "apply", "own-seventh-seed1")
    assert standins.values()["finetune"]["epochs"] == len("seventh")
    assert "Nothing to be done" in standins.snakemake()
    standins.run("git", "checkout", "--quiet", ".")

    assert conduct(standins, study) == (found, set())
    write_study(study, ["one", "three", "seventh", "another one"])
    assert conduct(standins, study)[1] == {"own-another-one-seed1"}
    # A commit that changes no code leaves experiments as they are; other images do not.
    (standins.folder / "notes.md").write_text("later", encoding="utf-8")
    standins.commit()
    assert conduct(standins, study)[1] == set()
    add_image(standins.folder, 0, 99)
    standins.commit()
    assert len(conduct(standins, write_study(study, ["one", "three"]))[1]) == 2


def test_a_killed_study_goes_on(standins: Project, tmp_path: Path) -> None:
    study = write_study(tmp_path / "killed.yaml", ["one", "three"])
    mark = standins.hold("finetune", "before")
    run = standins.start(sys.executable, "-c", CONDUCT, str(study))
    assert run.wait_until(lambda: reached(mark))
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    again = standins.start(sys.executable, "-c", CONDUCT, str(study))
    assert again.wait_until(lambda: "still at work" in again.text)
    mark.unlink()
    assert again.wait() == 0, again.text
    experiments, failed = json.loads(again.text.splitlines()[-1])
    assert len(experiments) == 2 and not failed


def test_the_time_is_kept_and_failures_are_told(standins: Project, tmp_path: Path) -> None:
    study = write_study(tmp_path / "short.yaml", ["one", "three"])
    code = CONDUCT.replace("1, None)", "1, 0.0001)").replace("found.failed", "found.stopped")
    printed = standins.run(sys.executable, "-c", code, str(study))
    assert json.loads(printed.splitlines()[-1]) == [{}, True]
    # The stand-in of the split fails with this value.
    values = {**TINY, "dataset.max_bad": 0.125}
    text = json.dumps({"recipe": "digits", "seeds": 1, "settings": {"bad": values, "good": TINY}})
    study.write_text(text, encoding="utf-8")
    printed = standins.run(sys.executable, "-c", CONDUCT, str(study))
    experiments, failed = json.loads(printed.splitlines()[-1])
    assert list(experiments) == ["short-good-seed1"]
    assert "dataset.max_bad must be anything" in failed["short-bad-seed1"]


def test_code_that_is_not_committed_is_refused(standins: Project, tmp_path: Path) -> None:
    study = write_study(tmp_path / "dirty.yaml", ["one"])
    with (standins.folder / "dvc.yaml").open("a", encoding="utf-8") as file:
        file.write("# another one\n")
    printed = standins.run(sys.executable, "-c", CONDUCT, str(study), status=1)
    assert "must be committed" in printed and "dvc.yaml" in printed


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for studies; the test is in the project's folder, where the recipes are."""
    monkeypatch.chdir(ROOT)
    return tmp_path


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["text"][:30])
def test_what_is_no_study_is_refused(files: Path, case: dict[str, str]) -> None:
    path = files / "odd.yaml"
    path.write_text(case["text"], encoding="utf-8")
    with pytest.raises(UserError) as raised:
        plan_runs(read_study(path), None, {}, False)
    assert case["says"] in str(raised.value) and "Received" in str(raised.value)


def test_a_value_for_all_settings_leaves_what_they_set_themselves(files: Path) -> None:
    path = files / "some.yaml"
    settings = {"drawn": {"backbone.weights": "none"}, "plain": {}}
    path.write_text(json.dumps({"recipe": "digits", "seeds": 1, "settings": settings}))
    study, mine = (
        read_study(path),
        {"backbone.weights": "data/pretrained/mine.h5", "image.side": 64},
    )
    found = [run.values for run in plan_runs(study, None, mine, False)]
    assert [values["backbone.weights"] for values in found] == ["none", mine["backbone.weights"]]
    assert {values["image.side"] for values in found} == {64}
    path.write_text(json.dumps({"recipe": "digits", "seeds": 1, "grid": {"image.side": [32, 64]}}))
    with pytest.raises(UserError, match="--set must be of a parameter that not all settings"):
        plan_runs(read_study(path), None, mine, False)


def test_a_grid_is_two_lines(files: Path) -> None:
    path = files / "Two words.yaml"
    path.write_text(CASES["grid"], encoding="utf-8")
    study = read_study(path, seeds=2)
    assert study.title == "Heads and sides"
    planned = plan_runs(study, None, {}, by_seed=False)
    assert [run.experiment for run in planned] == CASES["experiments"]
    assert [run.setting.published for run in planned[:4:2]] == ["97 %", ""]
    keys = ("head.kind", "image.side", "head.seed", "finetune.repeats", "split.seed")
    assert [planned[1].values[key] for key in keys] == ["logistic", 32, 2, 1, 1]
    # Where time may be up, each setting has its first seed before any has its second.
    assert [run.seed for run in plan_runs(study, None, {}, by_seed=True)] == [1] * 4 + [2] * 4
    # Only weights that are drawn depend on the seed: features of others are shared.
    assert {run.values["backbone.seed"] for run in planned} == {1}


def test_a_study_is_another_one_with_more(files: Path) -> None:
    first, second = files / "first.yaml", files / "second.yaml"
    first.write_text(CASES["found"], encoding="utf-8")
    second.write_text(f"study: {first}\n{CASES['more']}", encoding="utf-8")
    study = read_study(second)
    settings = {setting.name: dict(setting.changes) for setting in study.settings}
    assert settings == CASES["settings"]
    assert (study.name, study.title, study.seeds) == ("second", "second", (1, 2))
    values = [run.values for run in plan_runs(study, None, {}, True)]
    assert {one["head.kind"] for one in values} == {"dense"} and len(values) == 8
    assert {setting.published for setting in study.settings} == {"70 to 75 %", "80 %", ""}
    first.write_text(f"study: {second}", encoding="utf-8")
    with pytest.raises(UserError, match="must be one that does not lead back to this one"):
        read_study(second)


def test_every_study_of_the_project_is_valid(files: Path) -> None:
    assert list_studies()
    for name, title in list_studies().items():
        assert len(title) > 10
        assert plan_runs(read_study(find_study(name)), None, {}, False)
    with pytest.raises(UserError, match="did you mean heads"):
        find_study("head")


def test_the_choice_is_made_by_validation(empty: Path) -> None:
    git(empty, "init", "--quiet")
    (empty / "own.yaml").write_text(CASES["found"], encoding="utf-8")
    (empty / "workflow").symlink_to(ROOT / "workflow")
    study = read_study(empty / "own.yaml")
    planned = plan_runs(study, None, {}, False)
    experiments = {}
    # The third setting is the best by far, and has one seed less than the others.
    wrong = {"low": (90, 80), "high": (30, 36), "best": (0, None)}
    for run in planned:
        count = wrong[run.setting.name][run.seed - 1]
        if count is None:
            continue
        write_results(empty, range(count), parameters={"of": run.setting.name})
        commit(empty, run.experiment)
        experiments[run.experiment] = f"refs/exps/{'a' * 2}/{'b' * 38}/{run.experiment}"
        git(empty, "update-ref", experiments[run.experiment], "HEAD")
    conducted = Conducted(experiments, {}, True)
    findings = find_out(study, gather_outcomes(planned, experiments), conducted)
    assert findings.chosen.setting.name == "high"
    assert findings.chosen.accuracy == pytest.approx((0.9 + 0.88) / 2)
    # The test part is shown of the chosen setting, and of that with a published figure.
    assert set(findings.tests) == {"high", "low"}
    assert findings.against["low"]["verdict"] == "better"
    assert describe_findings(findings).splitlines() == CASES["shown"]
    table, page = write_findings(empty / "reports/studies", findings)
    rows = read_table(table).set_index("setting")
    assert rows.loc["high", "chosen"] == "yes" and rows.loc["best", "accuracy"] == ""
    assert rows.loc["low", "published"] == "70 to 75 %"
    assert "best" in page.read_text(encoding="utf-8")
    assert ask_git("status", "--porcelain").splitlines()
