"""`graft compare`, on git repositories that are made here."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import read_cases
from graft.common.errors import UserError
from graft.revisions.git import ask_git
from graft.revisions.noise import compare_images, compare_seeds
from graft.revisions.settings import ModelResults, _images, read_setting
from graft.revisions.verdicts import verdict
from graft.tools.compare import main
from images import Capture, complaint
from pages import Page
from repositories import LABELS, MODELS, commit, git, write_results

CASES = read_cases(__file__)

Shown = Callable[..., str]
SAME = {"batch": 64, "stack": []}
# The accuracies of five seeds, some points apart from each other.
FIVE = (0.90, 0.91, 0.92, 0.91, 0.90)
BETTER = [value + 0.06 for value in FIVE]


@pytest.fixture
def repository(empty: Path) -> Path:
    """A git repository with one commit, in which 30 of 300 images are wrong; the test is there."""
    git(empty, "init", "--quiet")
    write_results(empty, range(30), FIVE, parameters=SAME)
    commit(empty, "First try")
    return empty


@pytest.fixture
def shown(repository: Path, capsys: Capture) -> Shown:
    """Runs the command there: what it prints, and nothing on standard error."""

    def run(*arguments: str) -> str:
        main([*arguments])
        out, errors = capsys.readouterr()
        assert errors == ""
        return out

    return run


def found(shown: Shown, *arguments: str) -> dict[str, Any]:
    """The same as values."""
    return json.loads(shown(*arguments, "--json"))


def test_the_work_tree_is_compared_with_the_last_commit(repository: Path, shown: Shown) -> None:
    other = {"batch": 32, "kind": "svm", "stack": []}
    write_results(repository, range(6), BETTER, parameters=other)
    lines = shown().splitlines()
    assert lines[0].startswith("old  HEAD") and lines[0].endswith(" First try")
    assert lines[1:3] == ["new  the work tree", ""]
    assert lines[3:6] == ["Parameters", "  head.batch  64 → 32", "  head.kind   –  → svm"]
    varying = {12: lines[19], 15: lines[22]}
    assert lines[7:24] == [varying.get(place, line) for place, line in enumerate(CASES["shown"])]
    assert lines[19].startswith("    images   −0.231, 95 % interval −0.3")
    assert lines[25] == "Fine-tuned model"
    assert lines[10:24] == lines[26:40]
    assert all(len(line) <= 110 for line in lines)
    lines = shown("--test").splitlines()
    assert lines[7] == "Judged by the test part"
    assert "of 5: 89.80 % ± 0.84 % → of 5: 95.80 % ± 0.84 %" in lines[16]


def test_any_two_revisions_can_be_compared(repository: Path, shown: Shown) -> None:
    git(repository, "tag", "--annotate", "v1", "--message", "one")
    write_results(repository, range(60), parameters=SAME)
    (repository / "reports/head/repeats.csv").unlink()
    commit(repository, "Second try")
    git(repository, "branch", "other")
    write_results(repository, range(90))
    result = found(shown, "v1", "other")
    assert result["part"] == "validation"
    assert result["old"]["title"].endswith(" First try") and result["parameters"] == {}
    assert result["new"]["title"].endswith(" Second try")
    head = result["models"]["head"]["accuracy"]
    assert head["values"] == [0.9, 0.8]
    assert (head["images"]["lost"], head["images"]["won"]) == (30, 0)
    assert head["verdict"] == result["models"]["head"]["log_loss"]["verdict"] == "worse"
    assert head["seeds"] is None  # the second has no repeats
    assert result["models"]["finetuned"]["accuracy"]["seeds"]["n"] == [5, 5]
    # The other way round, and a search of the history.
    assert found(shown, ":/Second", "v1")["models"]["head"]["accuracy"]["verdict"] == "better"
    assert "head.repeats: 5 on both sides would tell" in shown("v1", "other")


def test_images_that_belong_together_are_counted_together(repository: Path, shown: Shown) -> None:
    """Ten images more are right: of ten units, or of one."""
    write_results(repository, range(30), per_unit=10)
    commit(repository, "In units")
    write_results(repository, range(20), per_unit=10)
    out = shown()
    assert "the same 300 in 30 units: 0 only right before, 10 only now; permutation by unit" in out
    images = found(shown)["models"]["head"]["accuracy"]["images"]
    assert (images["n"], images["units"]) == ([300, 300], [30, 30])
    assert images["p"] > 0.5 and images["low"] <= 0 < images["high"]
    assert found(shown)["models"]["head"]["log_loss"]["verdict"] == "unclear"
    # As single images.
    write_results(repository, range(30))
    commit(repository, "Each by itself")
    write_results(repository, range(20))
    assert found(shown)["models"]["head"]["accuracy"]["images"]["p"] < 0.01
    # If one side takes fewer images together, the other side's units are used.
    write_results(repository, range(20), per_unit=10)
    images = found(shown)["models"]["head"]["accuracy"]["images"]
    assert images["units"] == [300, 30] and images["p"] > 0.5


def test_accuracy_and_log_loss_have_verdicts_of_their_own(repository: Path, shown: Shown) -> None:
    write_results(repository, range(30), FIVE, parameters=SAME, sure=0.6)
    (repository / "reports/head/repeats.csv").unlink()
    head = found(shown)["models"]["head"]
    assert (head["accuracy"]["verdict"], head["log_loss"]["verdict"]) == ("same", "worse")
    out = shown()
    assert "Worse: the difference exceeds the noise of the images." in out


def test_what_training_measured_otherwise_is_not_compared(repository: Path, shown: Shown) -> None:
    key = "class_weight"
    write_results(repository, range(6), BETTER, parameters=SAME | {key: 0.1})
    models = found(shown)["models"]
    assert models["head"]["accuracy"]["seeds"] is models["head"]["log_loss"]["seeds"] is None
    assert models["finetuned"]["log_loss"]["seeds"] is not None
    # On the test part it is measured as it is.
    assert found(shown, "--test")["models"]["head"]["log_loss"]["seeds"] is not None
    assert f"not compared: head.{key} changes what training measures" in shown()


def test_an_earlier_graft_is_compared_by_the_test_part(repository: Path, shown: Shown) -> None:
    write_results(repository, range(30), FIVE, earlier=True)
    for name in MODELS:
        (repository / f"reports/{name}/validation.csv").unlink()
    commit(repository, "As it was built before")
    write_results(repository, range(6), FIVE)
    with pytest.raises(UserError) as raised:
        main([])
    assert str(raised.value) == (
        "HEAD was built before graft kept predictions on validation: there is no"
        " reports/head/validation.csv. Judge by the test part with --test, or build it again:"
        " check it out, run the pipeline, and commit the results that git keeps"
    )
    models = found(shown, "--test")["models"]
    assert models["head"]["accuracy"]["images"]["units"] == [None, 300]
    assert models["head"]["accuracy"]["images"]["p"] < 0.001
    assert models["head"]["log_loss"] is None
    out = shown("--test")
    assert "the same 300 (units not known), or 300 in 300 units: 0 only right before" in out
    assert "log loss   not known of each image on both sides: build what is older again" in out


def test_other_classes_are_never_paired(repository: Path, shown: Shown) -> None:
    write_results(repository, range(6), FIVE, split="another")
    # Half of the classes, so fewer images.
    for model in MODELS:
        for name in ("predictions", "validation"):
            path = repository / f"reports/{model}/{name}.csv"
            header, *rows = path.read_text().splitlines()
            kept = [row for row in rows if row.split(",")[1] in LABELS[:5]]
            path.write_text("\n".join([header, *kept, ""]))
        metrics = json.loads((repository / f"reports/{model}/metrics.json").read_text())
        right = sum(row.split(",")[1] == row.split(",")[2] for row in kept) / len(kept)
        metrics |= {"valid_accuracy": right, "accuracy": right}
        (repository / f"reports/{model}/metrics.json").write_text(json.dumps(metrics))
    head = found(shown)["models"]["head"]
    assert head["accuracy"]["images"]["others"] == ["classes"]
    assert head["accuracy"]["verdict"] == head["log_loss"]["verdict"] == "unclear"
    out = shown("--test")
    assert "\n  150 of 300 test photos are in both; 150 only in HEAD\n" in out
    assert "other classes, 300 in 300 units, and 150 in 150 units: taken as independent" in out
    assert "Not clear: the images are of other classes, so the tasks differ." in out


def test_a_project_may_be_a_folder_of_its_repository(
    repository: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = repository / "inner"
    inner.mkdir()
    write_results(inner, range(3))
    commit(repository, "Another project")
    monkeypatch.chdir(inner)
    assert found(shown)["models"]["head"]["accuracy"]["values"] == [0.99, 0.99]


def test_other_images_are_taken_as_independent(repository: Path, shown: Shown) -> None:
    write_results(repository, range(200, 215), images=200, first=200)
    for measure, difference in (("accuracy", 0.025), ("log_loss", -0.025 * math.log(18))):
        images = found(shown)["models"]["head"][measure]["images"]
        assert (images["paired"], images["n"], images["p"]) == (False, [300, 200], None)
        assert images["others"] == ["few"] and images["shared"]["needed"] == 120
        assert images["difference"] == pytest.approx(difference)
        assert images["low"] < 0 < images["high"]
    out = shown()
    assert all(line in out for line in CASES["few"])
    who = "few photos in both, 300 in 300 units, and 200 in 200 units: taken as independent"
    assert f"{who} (Newcombe)\n" in out and f"{who}\n" in out
    assert "exceeds neither the noise of the images nor of the seeds." in out
    # In units, the same says less.
    wide = images["high"] - images["low"]
    write_results(repository, range(200, 215), images=200, first=200, per_unit=5)
    images = found(shown)["models"]["head"]["log_loss"]["images"]
    assert images["high"] - images["low"] > 1.1 * wide


def test_the_order_of_the_images_does_not_matter(repository: Path, shown: Shown) -> None:
    for model in MODELS:
        path = repository / f"reports/{model}/validation.csv"
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *rows[::-1], ""]))
    models = found(shown)["models"].values()
    assert {own[name]["verdict"] for own in models for name in own} == {"same"}


def test_results_of_other_parameters_are_named(repository: Path, shown: Shown) -> None:
    lock = {"stages": {"head": {"params": {"params.yaml": {"head.batch": 64, "head.stack": []}}}}}
    (repository / "dvc.lock").write_text(json.dumps(lock))
    assert "Run the pipeline" not in shown()
    write_results(repository, range(30), FIVE, parameters={"batch": 32})
    (repository / "dvc.lock").write_text(json.dumps(lock))
    assert found(shown)["new"]["outdated"] == ["head.batch", "head.stack"]
    out = shown()
    assert "The results of the work tree were made with other parameters" in out
    assert "head.batch, head.stack" in out


def test_a_hash_is_shown_by_its_name(repository: Path, shown: Shown) -> None:
    base = ask_git("rev-parse", "HEAD")
    names = {"plain": "dvc: commit experiment 05e028fe38", "told": "With twice the rate"}
    for name, message in names.items():
        git(repository, "commit", "--quiet", "--allow-empty", "--message", message)
        git(repository, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", "HEAD")
        git(repository, "reset", "--quiet", "--hard", base)
    git(repository, "update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
    hashes = {
        name: ask_git("rev-parse", f"refs/exps/{base[:2]}/{base[2:]}/{name}") for name in names
    }
    for typed in ("plain", hashes["plain"], hashes["plain"][:7]):
        side = found(shown, typed)["old"]
        assert side["name"] == "plain"
        assert side["title"] == f"{hashes['plain'][:7]} experiment on {base[:7]} First try"
    assert found(shown, hashes["told"])["old"]["title"].endswith(" With twice the rate")
    # A branch has a name, too, and a tag before it; what was typed as a name stays.
    branch = ask_git("branch", "--show-current")
    assert [found(shown, typed)["old"]["name"] for typed in (base, "HEAD")] == [branch, "HEAD"]
    git(repository, "tag", "--annotate", "v1", "--message", "one")
    assert [found(shown, typed)["old"]["name"] for typed in (base, branch)] == ["v1", branch]
    # A hash without a name is shown as it is.
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "Next")
    git(repository, "tag", "--delete", "v1")
    assert found(shown, base[:8])["old"]["name"] == base[:8]


def test_an_unknown_revision_is_one_message(repository: Path) -> None:
    known = "a commit, branch, tag or experiment of this git repository"
    message = f"a revision must be {known}. Received: "
    for name in ("", "HEAD^{tree}", "HEAD..HEAD", "HEAD~1", "-x"):
        with pytest.raises(UserError) as raised:
            main(["--", name])
        assert str(raised.value) == f"{message}{name!r}"
    assert complaint(repository, "compare", "HEAD", "nothing") == f"{message}'nothing'"


def test_without_a_repository_it_says_so(empty: Path) -> None:
    with pytest.raises(UserError, match=r"^comparing takes a git repository\. Received: [^\n]*$"):
        main([])


@pytest.mark.parametrize("path, text, expected", CASES["broken"])
def test_what_is_missing_or_broken_is_named(
    repository: Path, path: str, text: str | None, expected: str
) -> None:
    (repository / path).unlink(missing_ok=True)
    if text is not None:
        (repository / path).write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"^[^\n]*$") as raised:
        main(["--test"])
    assert expected in str(raised.value)
    # Of a commit the same is said, with its name; `git add` leaves a missing file out.
    commit(repository, "Broken")
    with pytest.raises(UserError) as raised:
        read_setting("HEAD", "test")
    assert expected.replace("the work", "HEAD").replace("HEAD tree", "HEAD") in str(raised.value)


@settings(deadline=None)
@pytest.mark.parametrize("measure", ["accuracy", "log_loss"])
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1), st.integers(1, 3), st.data())
def test_the_verdict_follows_from_both_noises(
    measure: str, pairs: list[tuple[bool, bool]], per_unit: int, data: st.DataObject
) -> None:
    seeds = st.lists(st.integers(900, 950).map(lambda n: n / 1000), min_size=1, max_size=4)
    old, new = (_results(side, data.draw(seeds), per_unit) for side in zip(*pairs, strict=True))
    images, repeats = compare_images(old, new, measure), compare_seeds(old, new, measure)
    assert images["lost"] - images["won"] == sum(a for a, _ in pairs) - sum(b for _, b in pairs)
    assert images["beyond"] == (not images["low"] <= 0 <= images["high"])
    word, sentence = verdict(images, repeats, measure)
    beyond = [part for part in (images, repeats) if part]
    more = "better" if measure == "accuracy" else "worse"
    if word in ("better", "worse"):
        assert all(part["beyond"] for part in beyond)
        assert all((part["difference"] > 0) == (word == more) for part in beyond)
        assert sentence.startswith(word.capitalize())
    elif word == "same":
        assert all(part["difference"] == 0 for part in beyond)
    else:
        agree = {part["difference"] > 0 for part in beyond if part["beyond"]}
        assert not all(part["beyond"] for part in beyond) or len(agree) == 2
    # Turned round, better is worse.
    turned = compare_images(new, old, measure), compare_seeds(new, old, measure)
    expected = {"better": "worse", "worse": "better"}.get(word, word)
    assert verdict(*turned, measure)[0] == expected


def _results(right: Sequence[bool], seeds: Sequence[float], per_unit: int) -> ModelResults:
    rows = ["path,label,predicted,truth,unit"]
    rows += [f"{i},a,{'a,0.9' if ok else 'b,0.2'},{i // per_unit}" for i, ok in enumerate(right)]
    images, known = _images("\n".join([*rows, ""]).encode())
    values = {"accuracy": tuple(seeds), "log_loss": tuple(1 - value for value in seeds)}
    accuracy, loss = images["right"].mean(), images["loss"].mean()
    return ModelResults(accuracy, loss, images, known, values, None)


def test_a_page_holds_the_comparison_and_runs_nothing(repository: Path, shown: Shown) -> None:
    hostile = "<script>alert(1)</script>"
    other = {"batch": 32, "kind": hostile, "stack": []}
    write_results(repository, range(6), BETTER, parameters=other)
    for model in MODELS:
        rows = [f"{epoch},1,0.5,{1 / epoch},0.5" for epoch in (1, 2, 3)]
        table = "\n".join(["epoch,loss,accuracy,val_loss,val_accuracy", *rows, ""])
        (repository / f"reports/{model}/history.csv").write_text(table)
    commit(repository, f"Second {hostile}")
    git(repository, "update-ref", "refs/exps/ab/cdef/tall-idea", "HEAD")
    write_results(repository, range(20, 60), parameters={"batch": 8, "stack": []})
    printed = shown("HEAD~1", "tall-idea", "HEAD", "--html", "comparison.html")
    assert printed == "The comparison is in comparison.html.\n"
    html = (repository / "comparison.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not page.scripts and not page.handlers
    assert all(address.startswith("data:") for address in page.addresses)
    assert "Better" in page.texts and "+8.00 points" in page.text
    assert "head.batch 64 32 32" in page.text
    assert page.texts.count(hostile) == 2
    assert "Head: right in tall-idea , wrong in HEAD~1" in page.text
    assert "c6/6.png" not in page.texts and {"c6/", "6.png"} <= set(page.texts)
    assert "Its results were made with other" not in page.text
    assert html.count("<polyline") == 2 * 2 * 2  # two settings have curves


def test_a_legend_has_the_settings_with_a_curve(repository: Path, shown: Shown) -> None:
    write_results(repository, range(6), parameters=SAME)
    header = "epoch,loss,accuracy,val_loss,val_accuracy"
    rows = [f"{epoch},1,0.5,0.5,{0.9 + epoch / 100}" for epoch in (1, 2, 3)]
    path = repository / "reports/head/history.csv"
    for table, drawn in ((rows[:1], []), (rows, ["the work tree"])):
        path.write_text("\n".join([header, *table, ""]))
        shown("--html", "comparison.html")
        html = (repository / "comparison.html").read_text(encoding="utf-8")
        assert html.count("<polyline") == 2 * len(drawn)
        assert html.count('class="key side1"') == 2 * len(drawn)  # at the top, and at the curves
        assert 'class="key side0"' not in html
        assert ('<p class="keys">' in html) == bool(drawn)


def test_a_page_says_which_photos_it_is_of(repository: Path, shown: Shown) -> None:
    write_results(repository, range(15, 30), images=290, first=15, split="another")
    shown("--html", "comparison.html")
    page = Page((repository / "comparison.html").read_text(encoding="utf-8"))
    assert (
        "285 of 300 validation photos are in both; 15 only in HEAD, 5 only in the work tree."
        " Differences are of the 285 with equal labels; before and after are of all photos of a"
        " side. Photos are known by their paths"
    ) in page.text
    assert "94.7 % → 94.7 % of the 285" in page.text
    assert "Weakest class" in page.text and "class c5 29 photos" in page.text


@pytest.mark.parametrize("arguments, message", CASES["no_page"])
def test_what_is_no_page_is_refused(repository: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(arguments)
    assert not list(repository.rglob("*.html"))
