"""How far the page of an export for browsers answers from `graft predict`, in Chromium.

    uv run --group browser python -m benchmarks.web EXPORT [PHOTOS]

Run it in the folder of a built project, after `npm install` in EXPORT, such as `exports/web`.
PHOTOS is a folder of photos; without it those of the test part are taken. It prints a line.
"""

import argparse
import base64
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from graft.common.tables import read_json, read_table
from graft.images.sources import open_source
from graft.project.parameters import read_parameters

ASK = """async (photo) => {
    const { ask } = await import("/page/asking.js");
    const bytes = Uint8Array.from(atob(photo), (one) => one.charCodeAt(0));
    const { probabilities, problem } = await ask(new Blob([bytes]));
    return problem ?? [...probabilities];
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def main(arguments: list[str]) -> None:
    """Prints how many labels are equal, and how far probabilities differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web")
    parser.add_argument("export", type=Path)
    parser.add_argument("photos", type=Path, nargs="?")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        photos = options.photos or copy_test_part(Path(scratch, "photos"))
        classes = read_json(options.export / "model.json")["classes"]
        expected = ask_predict(photos, classes, Path(scratch, "answers.csv"))
        with opened(options.export) as page:
            found = {
                path: page.evaluate(ASK, base64.b64encode(path.read_bytes()).decode())
                for path in expected
            }
    read = [path for path in expected if not isinstance(found[path], str)]
    own, other = (np.array([table[path] for path in read]) for table in (found, expected))
    apart = np.abs(own - other).max(1)
    equal = (own.argmax(1) == other.argmax(1)).sum()
    print(
        f"{len(read)} of {len(expected)} photos read, {equal} labels equal; a probability differs"
        f" by {apart.max():.2g} at most, median of the photos {np.median(apart):.2g}"
    )


def copy_test_part(folder: Path) -> Path:
    """Puts the photos of the test part into a folder, which it gives."""
    split = read_table(Path("data/split.csv"))
    folder.mkdir()
    wanted = set(split[split["part"] == "test"]["path"])
    with open_source(read_parameters()["dataset"]["path"]) as source:
        for number, file in enumerate(source.files(wanted)):
            (folder / f"{number}{Path(file.path).suffix}").write_bytes(file.data)
    return folder


def ask_predict(photos: Path, classes: list[str], table: Path) -> dict[Path, list[float]]:
    """The probabilities of the classes, by photo, as `graft predict` says them."""
    command = [sys.executable, "-m", "graft", "predict", photos, "--top", str(len(classes))]
    subprocess.run([*command, "--output", table], stdout=subprocess.DEVNULL)
    answers = {}
    for row in read_table(table).to_dict("records"):
        if row["reason"]:
            continue
        said = {row["label"]: float(row["confidence"])}
        for n in range(2, len(classes) + 1):
            said[row[f"label_{n}"]] = float(row[f"confidence_{n}"])
        answers[photos.parent / row["path"]] = [said[name] for name in classes]
    return answers


@contextmanager
def opened(export: Path) -> Iterator:
    """The page of an export, in a browser."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=export))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright, server:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
