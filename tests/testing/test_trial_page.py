"""`graft test` in a project that was built, and the page that it writes."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import project
from colours import COLOURS, photos, save_by_colour
from graft.common.tables import read_json, read_table
from graft.tools.test import main
from images import Capture, write
from pages import Page
from project import Project


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def attempt(*arguments: str) -> None:
    try:
        main([*arguments])
    except SystemExit as ending:
        assert ending.code == 1  # some files could not be read


def test_the_page_has_what_that_of_the_report_has(
    empty: Path, tmp_path: Path, capsys: Capture
) -> None:
    model = save_by_colour(tmp_path)
    counts = {"red": (20, 0, 0), "green": (6, 14, 0), "blue": (2, 0, 18), "ash": (0, 0, 3)}
    write(empty / "photos", photos(counts) | {"red/bad.png": b"?"})
    attempt("photos", "--model", str(model), "--html", "page.html")
    said = capsys.readouterr().out.splitlines()
    page = read(empty / "page.html")
    for question in ("How good is it on these photos?", "Where is it wrong?", "Which classes?"):
        assert question in page.text
    for question in ("What does it confuse?", "Can its confidence be believed?"):
        assert question in page.text
    assert "How did training go?" not in page.text
    assert "86.7 % right, of 60 photos" in page.text
    # The same sentence as on the screen.
    assert said[1] in page.text
    assert "8 photos of 60 are wrong, the surest mistakes first." in page.text
    assert "6 of 20 photos of green were taken for red ." in page.text
    assert "60 of 64 photos count." in page.text
    ash = "3 photos of ash, which the model does not know, were taken for blue (3)."
    assert ash in page.text
    assert "class unknown to the model 3 ash/ 0.png" in page.text
    assert "not an image 1 red/ bad.png" in page.text
    assert "After calibration" in page.text and "Before calibration" in page.text
    assert {"svg", "img", "table"} <= page.tags
    assert page.handlers == []
    assert all(address.startswith("data:") for address in page.addresses)
    assert "predictions.csv" not in "".join(page.scripts) + page.text
    # The same inputs give the same page.
    first = (empty / "page.html").read_bytes()
    attempt("photos", "--model", str(model), "--html", "page.html")
    assert (empty / "page.html").read_bytes() == first


def test_names_are_never_markup(empty: Path, tmp_path: Path) -> None:
    odd = ("<script>alert(1)", "${alert(1)}`", "'\" onload=alert(1) x='")
    model = save_by_colour(tmp_path, classes=odd)
    files = photos(dict.fromkeys((*odd, "<marquee>new"), (3, 1, 3)))
    write(empty / "photos", files)
    attempt("photos", "--model", str(model), "--html", "page.html")
    page = read(empty / "page.html")
    assert page.handlers == [] and "marquee" not in page.tags and len(page.scripts) == 2
    assert "<script>alert(1)" in page.text and "<marquee>new" in page.text


def test_two_classes_have_curves(empty: Path, tmp_path: Path) -> None:
    model = save_by_colour(tmp_path, classes=COLOURS[:2])
    write(empty / "photos", photos({"red": (9, 3), "green": (2, 10)}))
    attempt("photos", "--model", str(model), "--html", "page.html")
    page = read(empty / "page.html")
    assert "How far the two classes can be told apart" in page.text
    assert "The validation part chose" not in page.text
    assert re.search(r"Area under the ROC curve 0\.\d", page.text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_works_in_a_browser(
    empty: Path, tmp_path: Path, browser: Any, scheme: str, width: int
) -> None:
    """It asks for nothing, fits a phone, and is for everyone (axe)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    model = save_by_colour(tmp_path)
    counts = {"red": (9, 0, 0), "green": (3, 6, 0), "ash": (0, 0, 3)}
    write(empty / "photos", photos(counts) | {"red/bad.png": b"?"})
    attempt("photos", "--model", str(model), "--html", "page.html")
    own, trouble = (empty / "page.html").as_uri(), []
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: trouble.append(request.url))
    page.goto(own)
    page.locator("#confusion td.miss button").first.click()
    assert page.locator("#cell-title").inner_text() == "3 photos of green taken for red"
    page.locator("#cell-close").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert axe.Axe().run(page).response["violations"] == []
    page.close()
    assert [one for one in trouble if one != own and not one.startswith("data:")] == []


@pytest.fixture(scope="module")
def built(real: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was built, and more photos of the same kind: in `more`, and in `changed`."""
    made = real.copy(tmp_path_factory.mktemp("trial") / "built")
    first = made.folder / "data/raw/tiny"
    shutil.copytree(first, made.folder / "known")
    for label in range(3):
        for number in range(20, 32):
            project.add_image(made.folder, label, number)
            name = f"{'abc'[label]}/{number}.png"
            place = made.folder / "more" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            (first / name).rename(place)
    return made


def accuracy(said: str) -> float:
    return float(re.search(r"^(\d+\.\d) % right, of", said, re.MULTILINE)[1])


@pytest.mark.parametrize("name", ["finetuned", "head"])
def test_a_model_of_a_project_is_beside_its_page(built: Project, name: str) -> None:
    """Answers on the test part are those of the stage `evaluate`; its sure promise is the page's.

    Of the photos of the data set only those of the test part count.
    """
    said = built.run("graft", "test", "known", "--model", name, "--html", "known.html")
    split = read_table(built.folder / "data/split.csv")
    metrics = read_json(built.folder / f"reports/{name}/metrics.json")
    assert accuracy(said) == round(100 * metrics["accuracy"], 1)
    parts = split["part"].value_counts()
    train, valid, test = (parts[part] for part in ("train", "valid", "test"))
    assert f"{train} of 42 photos are in the training part of the model: they do not" in said
    assert f"{valid} of 42 photos are in the validation part of the model: they do not" in said
    assert f"{test} of 42 photos are in the test part" in said
    crossed = read_json(built.folder / "reports/cross_validation.json")
    assert crossed["headline"] == "cross_validation"
    promise = f"what the page promises: {100 * crossed['accuracy']:.1f} % ("
    if "That is within" in said:
        assert promise in said
    assert f"cross-validated on {crossed['n']} photos" in said
    page = read(built.folder / "known.html")
    assert "Promised, cross-validated" in page.text
    more = built.run("graft", "test", "more", "--model", name, "--output", "more.csv")
    rows = read_table(built.folder / "more.csv")
    assert set(rows["counted"]) == {"yes"} and len(rows) == 36
    assert accuracy(more) == round(100 * (rows["correct"] == "yes").mean(), 1)
