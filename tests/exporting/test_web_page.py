"""The page of `graft export --format web` in Chromium: its answers are those of `graft predict`.

It needs Chromium, Node with npm, a network or npm's cache, the group `browser`, and the extra
`onnx`; elsewhere these tests are skipped.
"""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from background import Run
from graft.common.errors import UserError
from graft.common.tables import read_json, read_table
from graft.exporting.formats import check_format
from graft.tools.export import main
from images import ROOT, SHARDS, call, encoded, graft, run, workspace, write
from trainings import CNN, SMALL
from visits import WatchedPage

axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs `uv run --group browser pytest`"
)

CLASSES = ("<img src=x onerror=document.title='run'>", "g" * 90, "blue")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
# By how much a probability may differ. Files say them to six digits, and of a large JPEG graft
# decodes a smaller picture.
APART = {".jpg": 2e-3} | dict.fromkeys((".png", ".webp", ".gif", ".bmp"), 1e-5)
# Drops copies of a file, as a person does.
DROP = """async ([address, count]) => {
    const data = await (await fetch(address)).blob();
    const moved = new DataTransfer();
    for (let n = 0; n < count; n += 1) moved.items.add(new File([data], `${n}.jpg`));
    const drop = new DragEvent("drop", { dataTransfer: moved, bubbles: true, cancelable: true });
    document.getElementById("drop").dispatchEvent(drop);
}"""
ANSWERS = """async (names) => {
    const { ask } = await import("/page/asking.js");
    const found = {};
    for (const name of names) {
        const { probabilities, problem } = await ask(await (await fetch(`/photos/${name}`)).blob());
        found[name] = problem ?? [...probabilities];
    }
    return found;
}"""


def photos(class_: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Photos of a class, whose channel is bright, of the kinds that browsers read."""
    for number in range(count):
        draw = np.random.default_rng([class_, number])
        height, width = draw.integers(40, 500, 2)
        coarse = draw.integers(0, 120, (height // 9 + 2, width // 9 + 2, 3))
        coarse[..., class_] += 100
        image = Image.fromarray(coarse.astype(np.uint8)).resize((width, height))
        match number % 8:
            case 0:
                exif = Image.Exif()
                exif[0x0112] = 1 + int(draw.integers(8))
                yield f"{number}.jpg", encoded(image, "JPEG", quality=90, exif=exif)
            case 1:
                large = image.resize((4 * width, 4 * height))
                yield f"{number}.jpg", encoded(large, "JPEG", progressive=True)
            case 2:
                image.putalpha(Image.fromarray(np.asarray(image)[..., 0]))
                yield f"{number}.png", encoded(image)
            case 3:
                yield f"{number}.png", encoded(image.quantize(200))
            case 4:
                yield f"{number}.webp", encoded(image, "WEBP")
            case 5:
                yield f"{number}.gif", encoded(image, "GIF")
            case 6:
                yield f"{number}.bmp", encoded(image, "BMP")
            case 7:
                yield f"{number}.png", encoded(image)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with such photos, whose model was trained and evaluated."""
    try:
        check_format("web", "")
    except UserError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("web")
    shares = {"split.kind": "stratified", "split.train": 0.5, "split.valid": 0.1, "split.test": 0.4}
    workspace(folder, {**SMALL, **shares, "image.fit": "crop", "finetune.unfreeze": "none"})
    (folder / "data/pretrained").mkdir(parents=True)
    shutil.copyfile(ROOT / CNN, folder / CNN)
    for class_, name in enumerate(CLASSES):
        write(folder / "photos" / name, dict(photos(class_, 24)))
    with chdir(folder):
        run("manifest")
        for shard in range(SHARDS):
            run("tensors", str(shard))
        for stage in ("duplicates", "split", "backbone", "views"):
            run(stage)
        for shard in range(SHARDS):
            run("features", str(shard))
        for stage in ("depth", "head", "finetune"):
            run(stage)
        run("evaluate", "finetuned")
    return folder


@pytest.fixture(scope="module")
def served(built: Path) -> Iterator[str]:
    """The address of its export, made and started as its README says."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm: apt-get install nodejs npm")
    with chdir(built):
        main(["--format", "web"])
    folder = built / "exports/web"
    installed = call("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", cwd=folder)
    if installed.returncode:
        pytest.skip(f"npm cannot install what the page needs: {installed.stderr[-300:]}")
    server = Run(["npm", "start"], folder, os.environ)
    assert server.wait_until(lambda: "http://localhost:" in server.text), server.text
    yield re.search(r"http://localhost:\d+", server.text)[0]
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()


class Visit(WatchedPage):
    """The page of the export."""

    def __init__(self, browser: Any, address: str, without: str = "", **options: Any) -> None:
        super().__init__(browser, f"{address}/", **{"viewport": DESK} | options)
        if without:
            self.page.context.route(without, lambda route: route.fulfill(status=404))
        self.page.goto(self.own)

    def give(self, *files: tuple[str, bytes]) -> list[str]:
        """Chooses files, waits for the answers, and gives the text of each card, newest first."""
        sent = [{"name": name, "mimeType": "", "buffer": data} for name, data in files]
        self.page.set_input_files("#photos", sent)
        self.page.wait_for_function("() => !document.querySelector('.wait')")
        return self.page.locator(".card").all_inner_texts()


@pytest.fixture
def visit(browser: Any, served: str) -> Iterator[Callable[..., Visit]]:
    """Opens the page; in the end nothing may have gone wrong in any."""
    visits: list[Visit] = []

    def open_(**options: Any) -> Visit:
        visits.append(Visit(browser, served, **options))
        return visits[-1]

    yield open_
    for one in visits:
        one.end()


def test_it_answers_as_predict_does(visit: Callable[..., Visit], built: Path) -> None:
    """Photos of the test part, of all kinds; a browser decodes lossy ones with another sum."""
    split = read_table(built / "data/split.csv")
    paths = [f"photos/{path}" for path in split[split["part"] == "test"]["path"]]
    table = built / "answers.csv"
    status, _, errors = graft(built, "predict", *paths, "--top", "3", "--output", str(table))
    assert status == 0, errors
    # Beside the page, so that it may ask for them.
    names = [f"{number}{Path(path).suffix}" for number, path in enumerate(paths)]
    assert {Path(name).suffix for name in names} == {*APART}
    write(
        built / "exports/web/photos",
        {name: (built / path).read_bytes() for name, path in zip(names, paths, strict=True)},
    )
    found = visit().page.evaluate(ANSWERS, names)
    rows = {row["path"]: row for row in read_table(table).to_dict("records")}
    classes = read_json(built / "exports/web/model.json")["classes"]
    for name, path in zip(names, paths, strict=True):
        row, own = rows[path], dict(zip(classes, found[name], strict=True))
        said = {row["label"]: float(row["confidence"])}
        said |= {row[f"label_{n}"]: float(row[f"confidence_{n}"]) for n in (2, 3)}
        assert max(own, key=own.get) == row["label"], path
        assert own == pytest.approx(said, rel=0, abs=APART[Path(name).suffix]), path


def test_names_are_texts(visit: Callable[..., Visit]) -> None:
    page, name = visit(), "<img src=x onerror=document.title='file'>.png"
    (card,) = page.give((name, dict(photos(0, 4))["3.png"]))
    assert name in card and CLASSES[0] in card
    assert page.page.title() == "What does the photo show?"
    assert page.page.locator("img").count() == 0
    assert page.page.locator("#progress").inner_text().startswith(f"{name}: {CLASSES[0]}, ")


def test_what_cannot_be_used_is_said_in_words(visit: Callable[..., Visit]) -> None:
    hidden = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    hidden.paste((255, 255, 255, 255), (0, 0, 20, 40))
    cut = dict(photos(1, 1))["0.jpg"][:300]
    page = visit()
    cards = page.give(
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(99)),
        ("a.tif", encoded(np.zeros((40, 40, 3), np.uint8), "TIFF")),
        ("empty.jpg", b""),
        ("cut.jpg", cut),
        ("icon.png", encoded(np.zeros((7, 40, 3), np.uint8))),
        ("hidden.png", encoded(hidden)),
        ("good.png", dict(photos(1, 8))["7.png"]),
    )
    assert all("cannot read the file as a picture" in card for card in cards[:4]), cards
    assert "too small" in cards[4] and "background, white" in cards[5]
    assert CLASSES[1] in cards[6]


def test_many_dropped_photos_leave_the_page_free(visit: Callable[..., Visit], built: Path) -> None:
    """Its buttons work before all are answered, and what is cleared is not answered."""
    photo = dict(photos(2, 2))["1.jpg"]
    (built / "exports/web/dropped.jpg").write_bytes(photo)
    page = visit()
    page.page.evaluate(DROP, ["/dropped.jpg", 200])
    page.page.wait_for_selector(".card h2")
    assert page.page.locator(".card").count() == 200
    assert page.page.locator(".wait").count() > 0
    page.page.click("#clear")
    assert page.page.locator(".card").count() == 0
    (card,) = page.give(("one.jpg", photo))
    assert CLASSES[2] in card
    assert page.page.locator("#progress").inner_text().startswith(f"one.jpg: {CLASSES[2]}, ")


def test_a_photo_is_taken_with_the_camera(browser: Any, served: str) -> None:
    fake = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with browser.browser_type.launch(
        executable_path=shutil.which("chromium") or shutil.which("chromium-browser"), args=fake
    ) as other:
        page = Visit(other, served)
        page.page.click("#use-camera")
        page.page.click("#camera .take")
        page.page.wait_for_selector(".card h2")
        assert "Camera 1" in page.page.locator(".card").inner_text()
        page.page.keyboard.press("Tab")
        page.page.keyboard.press("Enter")
        assert page.page.locator("#camera").is_hidden()
        assert page.page.evaluate("() => document.activeElement.id") == "use-camera"
        page.end()


def test_without_camera_or_runtime_the_page_says_so(browser: Any, served: str) -> None:
    page = Visit(browser, served)
    page.page.click("#use-camera")
    page.page.wait_for_function("() => document.getElementById('problem').textContent")
    assert "camera" in page.page.locator("#problem").inner_text()
    page.end()
    page = Visit(browser, served, without="**/node_modules/**")
    page.page.wait_for_function("() => document.getElementById('problem').textContent")
    assert "run npm install" in page.page.locator("#problem").inner_text()
    page.page.context.close()


def test_nothing_can_be_sent_elsewhere(browser: Any, served: str) -> None:
    page = Visit(browser, served)
    other = served.replace("localhost", "127.0.0.1")
    refused = "(url) => fetch(url, { mode: 'no-cors' }).then(() => false, () => true)"
    assert page.page.evaluate(refused, other)
    assert any("Content Security Policy" in said for said in page.trouble)
    page.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(
    visit: Callable[..., Visit], scheme: str, viewport: dict[str, int]
) -> None:
    opened = visit(color_scheme=scheme, viewport=viewport)
    opened.page.wait_for_selector("#known:visible")
    for files in ((), (*photos(1, 2), ("x" * 200, b"no picture"))):
        if files:
            opened.give(*files)
        found = axe.Axe().run(opened.page)
        assert found.violations_count == 0, found.generate_report()
        assert (
            opened.page.evaluate("() => document.documentElement.scrollWidth") == viewport["width"]
        )
