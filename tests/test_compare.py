"""`graft compare`, on git repositories that are made here."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.common.errors import UserError
from graft.tools.compare import compare_images, compare_seeds, main, verdict
from graft.tools.revisions import ModelResults, _right, read_setting
from images import graft

MODELS = ("head", "finetuned")
LABELS = [f"c{number % 10}" for number in range(300)]
# The accuracies of five seeds, some points apart from each other.
FIVE = (0.90, 0.91, 0.92, 0.91, 0.90)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def write(
    folder: Path,
    wrong: Sequence[int],
    seeds: Sequence[float] | None = None,
    images: int = 300,
    parameters: Mapping[str, Any] | None = None,
) -> None:
    """What a build leaves for `compare`, the same for both models.

    Args:
        wrong: which test images are classified wrong.
        seeds: accuracies of the seeds; without them there is no repeats.csv.
        images: how many test images there are.
        parameters: the section `head` of params.yaml.
    """
    (folder / "params.yaml").write_text(json.dumps({"head": dict(parameters or {})}))
    rows = [
        f"{label}/{number}.png,{label},{'other' if number in wrong else label},0.9"
        for number, label in enumerate(LABELS[:images])
    ]
    for model in MODELS:
        reports = folder / "reports" / model
        reports.mkdir(parents=True, exist_ok=True)
        accuracy = round(1 - len(wrong) / images, 6)
        metrics = {"accuracy": accuracy, "n": images}
        (reports / "metrics.json").write_text(json.dumps(metrics))
        (reports / "predictions.csv").write_text(
            "\n".join(["path,label,predicted,confidence", *rows, ""])
        )
        if seeds is not None:
            table = [f"{seed},9,0.1,0.9,{value},0.1" for seed, value in enumerate(seeds, 1)]
            header = "seed,epochs,val_loss,val_accuracy,accuracy,log_loss"
            (reports / "repeats.csv").write_text("\n".join([header, *table, ""]))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, in which 30 of 300 images are wrong; the test is there."""
    git(tmp_path, "init", "--quiet")
    write(tmp_path, range(30), FIVE, parameters={"batch": 64, "stack": []})
    commit(tmp_path, "First try")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_work_tree_is_compared_with_the_last_commit(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = [value + 0.06 for value in FIVE]
    write(repository, range(6), better, parameters={"batch": 32, "kind": "svm", "stack": []})
    main([])
    out, errors = capsys.readouterr()
    assert errors == ""
    shown = out.splitlines()
    assert shown[0].startswith("old  HEAD")
    assert shown[0].endswith(" First try")
    assert shown[1:3] == ["new  the work tree", ""]
    assert shown[3:6] == ["Parameters", "  head.batch  64 → 32", "  head.kind   –  → svm"]
    assert shown[7:15] == [
        "Head",
        "  accuracy     90.00 % → 98.00 %, +8.00 points",
        "  test images  +8.00 points, 95 % interval +4.76 to +11.13",
        "               the same 300: 0 only right before, 24 only now; exact McNemar test,"
        " p < 0.001",
        "  seeds        +6.00 points, 95 % interval +4.78 to +7.22",
        "               mean ± standard deviation of 5: 90.80 ± 0.84 % → of 5: 96.80 ± 0.84 %;"
        " Welch’s t",
        "  verdict      Better: the difference exceeds the noise of the test images and of the"
        " seeds.",
        "",
    ]
    assert shown[15] == "Fine-tuned model"
    assert [line[13:] for line in shown[9:14]] == [line[13:] for line in shown[17:22]]
    assert all(len(line) <= 100 for line in shown)


def test_any_two_revisions_can_be_compared(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(repository, "tag", "--annotate", "v1", "--message", "one")
    write(repository, range(60), parameters={"batch": 64, "stack": []})
    (repository / "reports/head/repeats.csv").unlink()
    commit(repository, "Second try")
    git(repository, "branch", "other")
    write(repository, range(90))
    result = found(capsys, "v1", "other")
    assert result["old"]["title"].endswith(" First try")
    assert result["new"]["title"].endswith(" Second try")
    assert result["parameters"] == {}
    head = result["models"]["head"]
    assert head["accuracy"] == [0.9, 0.8]
    assert (head["images"]["lost"], head["images"]["won"]) == (30, 0)
    assert head["verdict"] == "worse"
    assert head["seeds"] is None  # the second has no repeats
    assert result["models"]["finetuned"]["seeds"]["n"] == [5, 5]
    # The other way round, and a search of the history.
    assert found(capsys, ":/Second", "v1")["models"]["head"]["verdict"] == "better"
    main(["v1", "other"])
    assert "head.repeats: 5 on both sides would tell" in capsys.readouterr().out


def test_a_project_may_be_a_folder_of_its_repository(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = repository / "inner"
    inner.mkdir()
    write(inner, range(3))
    commit(repository, "Another project")
    monkeypatch.chdir(inner)
    assert found(capsys)["models"]["head"]["accuracy"] == [0.99, 0.99]


def test_other_test_images_are_taken_as_independent(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repository, range(15), images=200)
    images = found(capsys)["models"]["head"]["images"]
    assert (images["paired"], images["n"], images["p"]) == (False, [300, 200], None)
    assert images["difference"] == pytest.approx(0.025)
    assert images["low"] < 0 < images["high"]
    main([])
    out = capsys.readouterr().out
    assert "other images or labels, 300 and 200: taken as independent (Newcombe)" in out
    assert "exceeds neither the noise of the test images nor of the seeds." in out


def test_the_order_of_the_images_does_not_matter(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in MODELS:
        path = repository / f"reports/{model}/predictions.csv"
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *rows[::-1], ""]))
    assert [model["verdict"] for model in found(capsys)["models"].values()] == ["same", "same"]


def test_results_of_other_parameters_are_named(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = {"stages": {"head": {"params": {"params.yaml": {"head.batch": 64, "head.stack": []}}}}}
    (repository / "dvc.lock").write_text(json.dumps(lock))
    main([])
    assert "Run the pipeline" not in capsys.readouterr().out
    write(repository, range(30), FIVE, parameters={"batch": 32})
    assert found(capsys)["new"]["outdated"] == ["head.batch", "head.stack"]
    main([])
    out = capsys.readouterr().out
    assert "The results of the work tree were made with other parameters" in out
    assert "head.batch, head.stack" in out


def test_an_unknown_revision_is_one_message(repository: Path) -> None:
    message = "a revision must be a commit, branch or tag of this git repository. Received: "
    for name in ("", "HEAD^{tree}", "HEAD..HEAD", "HEAD~1", "-x"):
        with pytest.raises(UserError) as raised:
            main(["--", name])
        assert str(raised.value) == f"{message}{name!r}"
    status, out, errors = graft(repository, "compare", "HEAD", "nothing")
    assert (status, out, errors) == (2, "", f"graft compare: error: {message}'nothing'\n")


def test_without_a_repository_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^comparing takes a git repository\. Received: [^\n]*$"):
        main([])


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("params.yaml", None, "there is no params.yaml in the work tree: run graft in the project"),
        ("params.yaml", "a: [", "params.yaml of the work tree must be YAML. Received: "),
        ("params.yaml", "just text", "params.yaml of the work tree must be YAML. Received: "),
        ("dvc.lock", "stages: [1]", "dvc.lock of the work tree must be YAML. Received: "),
        ("dvc.lock", "<<<<<<< HEAD\na: 1", "dvc.lock of the work tree must be YAML. Received: "),
        ("reports/head/metrics.json", None, "there is no reports/head/metrics.json in the work"),
        ("reports/head/metrics.json", "{", "must be a JSON object with an accuracy from 0 to 1"),
        ("reports/head/metrics.json", "[]", "must be a JSON object with an accuracy from 0 to 1"),
        ("reports/head/metrics.json", '{"accuracy": NaN}', "must be a JSON object with an accura"),
        ("reports/head/metrics.json", '{"accuracy": 0.8}', "must be 0.900000, as predictions.csv"),
        ("reports/finetuned/predictions.csv", None, "there is no reports/finetuned/predictions"),
        ("reports/finetuned/predictions.csv", "", "with the columns path, label and predicted"),
        ("reports/finetuned/predictions.csv", "path,label,predicted\n", "and a row or more"),
        ("reports/finetuned/predictions.csv", "path,label\na,b\n", "with the columns path, label"),
        ("reports/finetuned/predictions.csv", "\0\xff\n1,2,3,4\n", "with the columns path, label"),
        ("reports/head/repeats.csv", "seed,accuracy\n1,many\n", "with a column accuracy from 0"),
        ("reports/head/repeats.csv", "seed,accuracy\n1,2\n", "with a column accuracy from 0"),
        ("reports/head/repeats.csv", "seed,accuracy\n", "with a column accuracy from 0"),
    ],
)
def test_what_is_missing_or_broken_is_named(
    repository: Path, path: str, text: str | None, expected: str
) -> None:
    (repository / path).unlink(missing_ok=True)
    if text is not None:
        (repository / path).write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"^[^\n]*$") as raised:
        main([])
    assert expected in str(raised.value)
    # Of a commit the same is said, with its name; `git add` leaves a missing file out.
    commit(repository, "Broken")
    with pytest.raises(UserError) as raised:
        read_setting("HEAD")
    assert expected.replace("the work", "HEAD").replace("HEAD tree", "HEAD") in str(raised.value)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1), st.data())
def test_the_verdict_follows_from_both_noises(
    pairs: list[tuple[bool, bool]], data: st.DataObject
) -> None:
    seeds = st.lists(st.integers(900, 950).map(lambda n: n / 1000), min_size=1, max_size=4)
    old, new = (_results([pair[side] for pair in pairs], data.draw(seeds)) for side in (0, 1))
    images, repeats = compare_images(old, new), compare_seeds(old, new)
    assert images["lost"] - images["won"] == sum(a for a, _ in pairs) - sum(b for _, b in pairs)
    word, sentence = verdict(images, repeats)
    beyond = [part for part in (images, repeats) if part]
    if word in ("better", "worse"):
        assert all(part["beyond"] for part in beyond)
        assert all((part["difference"] > 0) == (word == "better") for part in beyond)
        assert sentence.startswith(word.capitalize())
    elif word == "same":
        assert all(part["difference"] == 0 for part in beyond)
    else:
        agree = {part["difference"] > 0 for part in beyond if part["beyond"]}
        assert not all(part["beyond"] for part in beyond) or len(agree) == 2
    # Turned round, better is worse.
    turned = verdict(compare_images(new, old), compare_seeds(new, old))
    assert turned[0] == {"better": "worse", "worse": "better"}.get(word, word)


def _results(right: Sequence[bool], seeds: Sequence[float]) -> ModelResults:
    table = "".join(f"{i},a,{'a' if good else 'b'}\n" for i, good in enumerate(right))
    series = _right(f"path,label,predicted\n{table}".encode())
    return ModelResults(float(series.mean()), series, tuple(seeds))
