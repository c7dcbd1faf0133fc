"""The page in a real browser: what it does, and that names of classes and files do nothing.

These tests need Chromium and the group `browser` of pyproject.toml; elsewhere they are skipped.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases import read_cases
from graft.common.classes import in_order
from graft.tools import compare
from images import run, workspace
from repositories import commit, git, write_results
from runs import make_run

axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs `uv run --group browser pytest`"
)

RIGHT_TO_LEFT = "\u202e\u05e9\u05dc\u05d5\u05dd"
NAMES = read_cases(__file__)["names"]
NAMES += [RIGHT_TO_LEFT, "a" * 200, "two words " * 20, *(f"class {i}" for i in range(8))]
CLASSES = in_order(NAMES)
# A file of the first class and one of the second.
PATHS = ["photos/<img src=x onerror=document.title='run'>.jpg", "=cmd|' /C calc'!A0.jpg"]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Watched:
    """A page, and what went wrong in it.

    Attributes:
        page: of Playwright.
        trouble: messages of the console, errors, and requests that left the page.
    """

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.trouble: list[str] = []
        context = browser.new_context(**{"viewport": DESK} | options)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", self._watch)
        self._own = path.as_uri()
        self.page.goto(self._own)

    def _watch(self, request: Any) -> None:
        if request.url != self._own and not request.url.startswith("data:"):
            self.trouble.append(request.url)

    def texts(self, selector: str) -> list[str]:
        """The text of every element that is seen."""
        return [e.inner_text() for e in self.page.query_selector_all(selector) if e.is_visible()]


def build(folder: Path, classes: tuple[str, ...], tests: int) -> Path:
    """The page of a made-up run."""
    workspace(folder)
    make_run(folder, classes, tests, wrong=0.3, paths=PATHS)
    with chdir(folder):
        run("report")
    return folder / "reports/index.html"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with names that would be markup, script or unreadable."""
    return build(tmp_path_factory.mktemp("hostile"), CLASSES, 320)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of many classes."""
    return build(tmp_path_factory.mktemp("many"), in_order(f"class {i}" for i in range(80)), 320)


@pytest.fixture
def watched(browser: Any, index: Path) -> Iterator[Watched]:
    """The page on a desktop; nothing may go wrong in it."""
    opened = Watched(browser, index)
    yield opened
    assert opened.trouble == []
    assert opened.page.title() == "graft: photos"
    opened.page.context.close()


def test_names_stay_text(watched: Watched) -> None:
    page = watched.page
    assert page.locator("img[src='x']").count() == 0
    assert page.locator("main script, main b:not(.strip b):not(.track b)").count() == 0
    rows = watched.texts("#classes table tbody th")
    for name in CLASSES:
        # What is shown has no double spaces.
        assert any(" ".join(name.split()) in " ".join(row.split()) for row in rows), name
    options = page.locator("#photo-class option").all_inner_texts()
    assert [" ".join(text.split()) for text in options[1:]] == [
        " ".join(name.split()) for name in CLASSES
    ]


def test_photos_are_sorted_and_filtered(watched: Watched) -> None:
    page = watched.page

    def shown() -> list[tuple[int, int, float]]:
        found = page.eval_on_selector_all(
            "#photos > .photo:not([hidden])",
            "all => all.map(e => [e.dataset.label, ...e.dataset.finetuned.split(' ')].map(Number))",
        )
        return [tuple(values) for values in found]

    every = shown()
    assert len(every) == 48
    assert all(label != predicted for label, predicted, _ in every)
    confidences = [confidence for *_, confidence in every]
    assert confidences == sorted(confidences, reverse=True)
    page.click("#photo-more")
    assert len(shown()) > 48
    page.select_option("#photo-class", "3")
    of_one = shown()
    assert 0 < len(of_one) < len(every)
    assert all(3 in (label, predicted) for label, predicted, _ in of_one)
    page.fill("#photo-confidence", "80")
    assert shown() == [row for row in of_one if row[2] >= 0.8]
    page.fill("#photo-confidence", "0")
    page.check("#photo-right")
    assert any(label == predicted for label, predicted, _ in shown())
    assert watched.texts("#photo-count") == [f"{len(shown())} photos"]


def test_what_it_looked_at_is_shown_on_demand(watched: Watched) -> None:
    page = watched.page
    shades = page.locator("#photos .shade:visible")
    assert shades.count() == 0
    page.check(".look-switch:visible")
    assert shades.count() == page.locator("#photos .photo:visible").count() == 48
    first = page.locator("#photos .photo:not([hidden])").first
    shade, photo = first.locator(".shade"), first.locator("img:not(.shade)")
    assert shade.bounding_box() == photo.bounding_box()
    page.focus("#model-finetuned")
    page.keyboard.press("ArrowRight")
    assert shades.count() == 0 and page.locator(".look-switch:visible").count() == 0


def test_the_model_is_switched_everywhere(watched: Watched) -> None:
    page = watched.page
    tuned = watched.texts("#mistakes > .lead") + watched.texts("#matrix-finetuned td")
    page.focus("#model-finetuned")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("#model-head")
    head = watched.texts("#mistakes > .lead") + watched.texts("#matrix-head td")
    assert head != tuned
    assert not page.is_visible("#matrix-finetuned")
    photos = page.eval_on_selector_all(
        "#photos > .photo:not([hidden])",
        "all => all.map(e => [e.dataset.label, e.dataset.head.split(' ')[0], e.checkVisibility()])",
    )
    assert photos and all(label != said and visible for label, said, visible in photos)


def test_tables_sort_by_keyboard(watched: Watched) -> None:
    page = watched.page
    table = "#classes .of-finetuned table"

    def column(number: int) -> list[str]:
        return page.eval_on_selector_all(
            f"{table} tbody tr > :nth-child({number})", "all => all.map(e => e.dataset.v)"
        )

    recall = sorted(map(float, column(4)))
    page.focus(f"{table} thead th:nth-child(4) button")
    page.keyboard.press("Enter")
    assert list(map(float, column(4))) == recall
    assert page.get_attribute(f"{table} thead th:nth-child(4)", "aria-sort") == "ascending"
    assert page.get_attribute(f"{table} thead th:nth-child(5)", "aria-sort") is None
    page.keyboard.press("Space")
    assert list(map(float, column(4))) == recall[::-1]
    page.click(f"{table} thead th:nth-child(1) button")
    assert column(1) == [str(i) for i in range(len(CLASSES))]


def test_a_cell_shows_its_photos(watched: Watched) -> None:
    page = watched.page
    cell = page.locator("#matrix-finetuned .miss button").first
    row, column = map(int, cell.get_attribute("data-cell").split())
    number = int(cell.inner_text())
    cell.click()
    photos = page.eval_on_selector_all(
        "#cell .photo", "all => all.map(e => [e.dataset.label, e.dataset.finetuned.split(' ')[0]])"
    )
    assert photos == [[str(row), str(column)]] * number
    assert page.locator("#cell-title").inner_text().startswith(f"{number} photo")
    page.keyboard.press("Escape")
    assert not page.is_visible("#cell")
    # The focus is where it was, and arrows lead to the next cell.
    assert page.evaluate("document.activeElement.dataset.cell") == f"{row} {column}"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.cell").endswith(f" {column}")
    assert page.evaluate("document.activeElement.dataset.cell") != f"{row} {column}"
    page.locator("#confusion .of-finetuned .pairs button").first.click()
    assert page.locator("#cell .photo").count() > 0
    page.click("#cell-close")
    assert not page.is_visible("#cell")
    page.locator("#classes .of-finetuned [data-cell]").first.click()
    assert page.locator("#cell .photo").count() > 0


def test_the_matrix_is_ordered_and_shows_shares(watched: Watched) -> None:
    page = watched.page

    def diagonal() -> list[str]:
        return page.eval_on_selector_all(
            "#matrix-finetuned .hit button", "all => all.map(e => e.dataset.cell)"
        )

    alike = diagonal()
    page.select_option("#matrix-order", "given")
    assert diagonal() == sorted(alike, key=lambda cell: int(cell.split()[0]))
    page.select_option("#matrix-order", "wrong")
    assert sorted(diagonal()) == sorted(alike) and diagonal() != alike
    page.select_option("#matrix-values", "shares")
    shares = [float(text) for text in page.locator("#matrix-finetuned .hit").all_inner_texts()]
    assert all(0 < share <= 100 for share in shares)
    page.hover("#matrix-finetuned .miss button")
    assert "photos (" in page.inner_text("#matrix-readout")


def test_curves_are_switched(watched: Watched) -> None:
    page = watched.page
    smoothed = page.locator("#training .smoothed").first
    assert not smoothed.is_visible()
    page.focus("#curves-plain")
    page.keyboard.press("ArrowRight")
    assert smoothed.is_visible()


def test_doubtful_labels_are_copied_as_csv(browser: Any, index: Path) -> None:
    watched = Watched(browser, index)
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    watched.page.click("#copy-csv")
    watched.page.wait_for_function("document.getElementById('copy-done').textContent")
    copied = watched.page.evaluate("navigator.clipboard.readText()")
    rows = list(csv.DictReader(io.StringIO(copied)))
    with (index.parent / "label_errors.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [row["label"] for row in table]
    assert watched.trouble == []


def test_it_can_be_used_without_a_script(browser: Any, index: Path) -> None:
    watched = Watched(browser, index, java_script_enabled=False)
    page = watched.page
    assert page.locator("#photos .photo:visible").count() > 30
    assert page.locator(".scripted:visible").count() == 0
    assert page.locator("#matrix-finetuned tbody tr").count() == len(CLASSES)
    page.check("#model-head", force=True)
    assert page.is_visible("#matrix-head") and not page.is_visible("#matrix-finetuned")
    page.check("#curves-smoothed", force=True)
    assert page.locator("#training .smoothed").first.is_visible()
    assert watched.trouble == []


@pytest.mark.parametrize("which", ["index", "many"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_is_wider_than_the_screen(
    browser: Any, which: str, viewport: dict[str, int], request: pytest.FixtureRequest
) -> None:
    watched = Watched(browser, request.getfixturevalue(which), viewport=viewport)
    page = watched.page
    page.eval_on_selector_all("details", "all => all.forEach(e => { e.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert watched.trouble == []


def test_many_classes_are_shown_in_parts(browser: Any, many: Path) -> None:
    watched = Watched(browser, many)
    page = watched.page
    size = int(page.locator("#matrix-zoom").input_value())
    assert size < 80
    assert page.locator("#matrix-finetuned tbody tr").count() == size
    page.select_option("#matrix-order", "given")
    page.select_option("#matrix-row", "40")
    assert page.locator("#matrix-finetuned tbody th").first.inner_text() == "class 40"
    assert page.locator("#matrix-finetuned thead th").first.inner_text() == "class 0"
    box = page.locator("#matrix-overview").bounding_box()
    page.click("#matrix-overview", position={"x": box["width"] - 3, "y": box["height"] - 3})
    assert page.locator("#matrix-finetuned tbody th").last.inner_text() == "class 79"
    assert page.locator("#matrix-finetuned thead th").last.inner_text() == "class 79"
    page.select_option("#matrix-zoom", "10")
    assert page.locator("#matrix-finetuned tbody tr").count() == 10
    assert watched.trouble == []


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", DESK), ("dark", PHONE)], ids=["light", "dark"]
)
def test_axe_finds_nothing(
    browser: Any, index: Path, scheme: str, viewport: dict[str, int]
) -> None:
    watched = Watched(browser, index, color_scheme=scheme, viewport=viewport)
    watched.page.eval_on_selector_all("details", "all => all.forEach(e => { e.open = true; })")
    found = axe.Axe().run(watched.page)
    assert found.violations_count == 0, found.generate_report()
    watched.page.locator("#matrix-finetuned .miss button").first.click()
    found = axe.Axe().run(watched.page, "#cell")
    assert found.violations_count == 0, found.generate_report()
    assert watched.trouble == []


def test_axe_finds_nothing_in_a_comparison(browser: Any, empty: Path) -> None:
    git(empty, "init", "--quiet")
    write_results(empty, range(30), parameters={"batch": 64})
    commit(empty, "First")
    write_results(empty, range(10, 50), parameters={"batch": 8})
    compare.main(["HEAD", "--html", "index.html"])
    for scheme, viewport in (("light", DESK), ("dark", PHONE)):
        options = {"color_scheme": scheme, "viewport": viewport}
        watched = Watched(browser, empty / "index.html", **options)
        found = axe.Axe().run(watched.page)
        assert found.violations_count == 0, found.generate_report()
        width = watched.page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"]
        assert watched.trouble == []


def test_a_picture_of_the_page_has_ink(browser: Any, index: Path) -> None:
    """In dark mode the page is dark, and in print it is light."""
    from PIL import Image

    watched = Watched(browser, index, color_scheme="dark")
    brightness = {}
    for media in ("screen", "print"):
        watched.page.emulate_media(media=media, color_scheme="dark")
        picture = Image.open(io.BytesIO(watched.page.screenshot()))
        brightness[media] = np.asarray(picture.convert("L")).mean()
    assert brightness["screen"] < 60 and brightness["print"] > 200
    # What is a button on the screen is still read on paper.
    assert watched.page.locator("#matrix-finetuned td button:visible").count() > len(CLASSES)
    assert watched.page.locator("#classes thead button:visible").count() == 6
    assert watched.page.locator(".controls:visible").count() == 0
