"""The pages of `graft open` in a real browser: keys, drops, names that would be markup, and looks.

These tests need Chromium, the group `browser` and the extra `open`; elsewhere they are skipped.
"""

from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from graft.common.tables import read_table
from images import change, encoded, run
from opened import (
    BLUE,
    CLASSES,
    FIRST,
    GREEN,
    Opened,
    corrections,
    list_set,
    opened,
    paint,
)
from visits import WatchedPage

api = pytest.importorskip("playwright.sync_api", reason="needs `uv run --group browser pytest`")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs `uv run --group browser pytest`"
)
pytest.importorskip("starlette", reason="needs `uv run --extra open pytest`")

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
PAGES = ("/", "/all", "/try")
# Drops files by their names and bytes, as a person does.
DROP = """([name, data]) => {
    const moved = new DataTransfer();
    moved.items.add(new File([new Uint8Array(data)], name));
    const drop = new DragEvent("drop", { dataTransfer: moved, bubbles: true, cancelable: true });
    document.getElementById("drop").dispatchEvent(drop);
}"""


class Visit(WatchedPage):
    """A page of a server."""

    def __init__(self, browser: Any, server: Opened, path: str = "/", **options: Any) -> None:
        own = f"http://127.0.0.1:{server.port}/"
        super().__init__(browser, own, **{"viewport": DESK} | options)
        self.page.goto(server.address)
        self.page.wait_for_url(self.own)
        self.go(path)

    def go(self, path: str) -> None:
        """Opens another page of the server, and waits until all is there."""
        self.page.goto(self.own.rstrip("/") + path)
        self.page.wait_for_load_state("networkidle")

    def text(self, selector: str) -> str:
        """The text of the first element, with single blanks."""
        return " ".join(self.page.locator(selector).first.inner_text().split())

    def decide(self, key: str) -> None:
        """Presses a key that decides, once the picture is seen: before, it does nothing."""
        self.page.wait_for_selector(".frame-large:not([aria-busy])")
        self.page.keyboard.press(key)

    def wait(self, selector: str, text: str) -> None:
        """Waits until an element has a text in it."""
        api.expect(self.page.locator(selector).first).to_contain_text(text)

    def end(self) -> None:
        """Nothing went wrong."""
        assert self.page.title().startswith("graft: ")
        super().end()


@pytest.fixture
def visit(browser: Any, server: Opened) -> Iterator[Callable[..., Visit]]:
    """Opens pages; nothing may go wrong in them."""
    visits = []

    def start(path: str = "/", **options: Any) -> Visit:
        visits.append(Visit(browser, server, path, **options))
        return visits[-1]

    yield start
    for one in visits:
        one.end()


def test_labels_are_corrected_by_keys(folder: Path, visit: Callable[..., Visit]) -> None:
    opened_ = visit()
    page = opened_.page
    names = [*read_table(folder / "reports/label_errors.csv")["path"]]
    labels = [name.partition("/")[0] for name in names]
    opened_.wait("#progress", "Picture 1 of 5: suspected label · 0 decided")
    assert opened_.text(".path").startswith(names[0])
    assert opened_.text(".label") == labels[0]
    # Keep, another class by its number, and leave out.
    opened_.decide("k")
    opened_.wait("#progress", "Picture 2 of 5: suspected label · 1 decided")
    opened_.decide("1")
    opened_.wait("#progress", "Picture 3 of 5: suspected label · 2 decided")
    opened_.decide("x")
    opened_.wait("#progress", "Picture 4 of 5: mistake of the model · 3 decided")
    said = [(names[0], labels[0], ""), (names[1], FIRST, ""), (names[2], "", "yes")]
    assert sorted(corrections(folder)) == sorted(said)
    opened_.wait("#waiting", "3 decisions wait for the next build")
    # Back and forth changes nothing; undo goes back to the picture.
    page.keyboard.press("ArrowLeft")
    opened_.wait(".decision", "left out · waits for the next build")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("u")
    opened_.wait("#progress", "Picture 3 of 5: suspected label · 2 decided")
    assert len(corrections(folder)) == 2
    page.keyboard.press("u")
    opened_.wait("#progress", "Picture 2 of 5: suspected label · 1 decided")
    page.keyboard.press("u")
    opened_.wait("#progress", "Picture 1 of 5: suspected label · 0 decided")
    assert (folder / "data/corrections.csv").read_bytes() == b"path,id,label,leave_out\n"
    page.keyboard.press("u")
    assert page.is_disabled(".undo")


def test_letters_can_be_switched_off(folder: Path, visit: Callable[..., Visit]) -> None:
    """Those who speak to a computer would decide by a word (WCAG 2.1.4); arrows stay."""
    opened_ = visit()
    page = opened_.page
    opened_.wait("#progress", "Picture 1 of 5")
    page.get_by_label("Letters and digits are keys").uncheck()
    opened_.go("/")  # it is remembered
    before = (folder / "data/corrections.csv").read_bytes()
    for key in ("k", "x", "1", "c"):
        opened_.decide(key)
    page.keyboard.press("ArrowRight")
    opened_.wait("#progress", "Picture 2 of 5: suspected label · 0 decided")
    assert (folder / "data/corrections.csv").read_bytes() == before
    assert not page.locator(".keep kbd").is_visible()
    page.get_by_label("Letters and digits are keys").check()
    opened_.decide("k")
    opened_.wait("#progress", "1 decided")
    page.keyboard.press("u")
    opened_.wait("#progress", "0 decided")


def test_a_name_is_typed(folder: Path, visit: Callable[..., Visit]) -> None:
    opened_ = visit()
    page = opened_.page
    opened_.wait("#progress", "Picture 1 of 5")
    page.keyboard.press("c")
    # In the field letters are letters.
    page.keyboard.type("kx")
    page.keyboard.press("Enter")
    opened_.wait(".said", "is called “kx”")
    page.keyboard.press("Escape")
    page.keyboard.type("GRE")
    opened_.decide("Enter")
    opened_.wait("#progress", "1 decided")
    assert [label for _, label, _ in corrections(folder)] == [GREEN]
    for done in range(2, 5):
        opened_.decide("k")
        opened_.wait("#progress", f"{done} decided")
    opened_.decide("k")
    opened_.wait("#end-said", "All 5 pictures of the list are decided")
    assert "uv run snakemake --cores all" in opened_.text("#end pre")
    assert opened_.text("#where") == "data/corrections.csv"
    page.keyboard.press("u")
    opened_.wait("#progress", "Picture 5 of 5")
    # Another visit goes on where this one is.
    again = visit()
    again.wait("#progress", "Picture 5 of 5: mistake of the model · 4 decided")


def test_names_stay_text(visit: Callable[..., Visit]) -> None:
    for path in PAGES:
        opened_ = visit(path)
        page = opened_.page
        page.wait_for_selector({"/": ".choices button", "/all": "#grid img", "/try": "#drop"}[path])
        if path == "/all":
            assert FIRST in page.locator("#class option").nth(1).inner_text()
            page.locator("#grid button").first.click()
        if path != "/try":
            texts = page.locator(".choices bdi").all_inner_texts()
            assert texts == list(CLASSES)
        assert page.locator("img[src='x']").count() == 0


def test_the_whole_set_is_looked_through(folder: Path, visit: Callable[..., Visit]) -> None:
    opened_ = visit("/all")
    page = opened_.page
    opened_.wait("#count", "47 pictures")
    page.select_option("#class", "2")
    opened_.wait("#count", "17 pictures")
    assert set(page.locator("#grid .name").all_inner_texts()) == {GREEN}
    page.select_option("#part", "test")
    split = read_table(folder / "data/split.csv")
    count = len(split[(split["part"] == "test") & (split["label"] == GREEN)])
    opened_.wait("#count", f"{count} picture")
    api.expect(page.locator("#grid li")).to_have_count(count)
    page.select_option("#part", "")
    opened_.wait("#count", "17 pictures")
    page.wait_for_selector("#grid img")
    # By keys: to the third, enlarged, corrected, undone and closed.
    page.locator("#grid button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    opened_.wait("#enlarged .path", f"{GREEN}/02.png")
    opened_.decide("2")
    opened_.wait("#enlarged .decision", BLUE)
    assert corrections(folder) == [(f"{GREEN}/02.png", BLUE, "")]
    page.keyboard.press("ArrowRight")
    opened_.wait("#enlarged .path", f"{GREEN}/03.png")
    page.keyboard.press("u")
    opened_.wait("#enlarged .path", f"{GREEN}/02.png")
    assert corrections(folder) == []
    page.keyboard.press("Escape")
    assert not page.is_visible("#enlarged")
    assert page.evaluate("() => document.activeElement.matches('#grid button')")


def test_only_what_is_in_sight_is_in_the_page(browser: Any, tmp_path: Path) -> None:
    """A set of any size: here one of 4,000 files that have no pictures."""
    folder = tmp_path / "project"
    list_set(folder)
    rows = "".join(f"{n:032x},green/x{n}.png,green,,,,0,\n" for n in range(4000))
    with (folder / "data/manifest.csv").open("a", encoding="utf-8") as file:
        file.write(rows)
    with opened(folder) as server:
        visit = Visit(browser, server, "/all")
        visit.wait("#count", "4,047 pictures")
        for share in (1, 0.5, 0):
            visit.page.evaluate(f"scrollTo(0, {share} * document.body.scrollHeight)")
            visit.page.wait_for_timeout(300)
            assert 10 < visit.page.locator("#grid li").count() < 120
        last = visit.page.locator("#grid li").last.get_attribute("aria-setsize")
        assert last == "4047"
        visit.page.locator("#grid button").first.focus()
        visit.page.keyboard.press("End")
        visit.wait("#grid button:focus .name", GREEN)
        place = visit.page.locator("#grid li:has(button:focus)").get_attribute("aria-posinset")
        assert place == "4047"
        visit.page.context.close()


def test_a_dropped_photo_gets_an_answer(visit: Callable[..., Visit], tmp_path: Path) -> None:
    opened_ = visit("/try")
    page = opened_.page
    name = "<img src=x onerror=document.title='run'>.png"
    page.evaluate(DROP, [name, list(encoded(paint(2, 500, 60, 90)))])
    opened_.wait("#answers h2", GREEN)
    assert page.locator(".bars dt").count() == 3
    assert opened_.text(".bars dt") == GREEN
    assert page.locator(".near img").count() == 6
    assert page.locator("img[src='x']").count() == 0
    # One by the file dialog, and one that is none.
    (tmp_path / "blue.png").write_bytes(encoded(paint(1, 501)))
    (tmp_path / "none.png").write_bytes(b"none")
    page.set_input_files("#photos", [tmp_path / "blue.png", tmp_path / "none.png"])
    api.expect(page.locator("#answers .failed")).to_contain_text("none.png: it cannot be read")
    opened_.wait("#answers li:nth-child(2) h2", BLUE)
    opened_.wait("#progress", "3 photos")


def test_a_build_is_noticed(folder: Path, visit: Callable[..., Visit]) -> None:
    check, all_ = visit(), visit("/all")
    check.wait("#progress", "Picture 1 of 5")
    all_.wait("#count", "47 pictures")
    change(folder, {"split.seed": 5})
    with chdir(folder):
        run("split")
        (folder / "reports/label_errors.csv").unlink()
    for one in (check, all_):
        one.wait("#notices", "A build has changed the data")
    check.wait("#progress", "Picture 1 of 2: mistake of the model")


def test_the_end_of_the_server_is_noticed(browser: Any, folder: Path) -> None:
    with opened(folder) as server:
        one = Visit(browser, server)
        one.wait("#progress", "Picture 1 of 5")
        server.end()
        one.decide("k")
        one.wait("#desk .said", "start `graft open` again")
        one.wait("#progress", "0 decided")
        one.page.context.close()


def test_before_a_build_the_pages_say_how_to_make_one(browser: Any, tmp_path: Path) -> None:
    list_set(tmp_path)
    (tmp_path / "data/manifest.csv").unlink()
    with opened(tmp_path) as server:
        for path in PAGES:
            one = Visit(browser, server, path)
            one.wait("#nothing", "uv run snakemake --cores all")
            one.end()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(
    visit: Callable[..., Visit], scheme: str, viewport: dict[str, int]
) -> None:
    opened_ = visit(color_scheme=scheme, viewport=viewport)
    page = opened_.page

    def examine(where: str = "") -> None:
        found = axe.Axe().run(page, where) if where else axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= viewport["width"]

    page.wait_for_selector(".near img")
    examine()
    opened_.decide("x")
    opened_.wait("#progress", "1 decided")
    page.keyboard.press("ArrowLeft")
    examine()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector("#end:visible")
    examine()
    opened_.go("/all")
    page.wait_for_selector("#grid img")
    examine()
    page.locator("#grid button").first.click()
    page.wait_for_selector("#enlarged .near img")
    examine("#enlarged")
    opened_.go("/try")
    page.evaluate(DROP, ["green.png", list(encoded(paint(2, 502)))])
    page.wait_for_selector("#answers .near img")
    examine()
