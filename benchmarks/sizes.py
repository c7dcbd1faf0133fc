"""Memory and seconds of each stage, by the number of images: both must stay in proportion.

    uv run python -m benchmarks.sizes FOLDER        # 1,000, 10,000 and 60,000 images of a folder
    uv run python -m benchmarks.sizes --made-up     # the manifest of 10,000, 100,000 and 1,000,000

FOLDER has class folders, at any depth, such as CIFAR-10. The stages run one after another in a new
project with this repository's parameters, two epochs of fine-tuning. Memory is the peak of the
resident memory of a stage's processes together, shared pages counted once; shards are added in
seconds, and the largest counts in memory.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.projects import BIN, Project
from graft.integrity.yaml12 import read_yaml_file
from graft.project.choices import divide
from graft.project.pipeline import SHARDS

COUNTS = (1000, 10_000, 60_000)
MADE_UP = (10_000, 100_000, 1_000_000)
STAGES = (
    *("manifest", "tensors", "duplicates", "split", "warnings"),
    *("backbone", "features", "depth", "views", "cross_validation", "head"),
    *("finetune", "evaluate@head", "evaluate@finetuned", "report"),
)
_FILES_A_SHARD = 5000


def run_measured(folder: Path, command: list[str]) -> tuple[float, float]:
    """Runs a command: its seconds, and its peak of memory in MiB.

    Args:
        folder: where it runs.
        command: is ended with a status of 0, or all ends.
    """
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(folder / "workflow")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        peaks = [0.0]
        ended = threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peaks, ended))
        watch.start()
        status = process.wait()
        seconds = time.perf_counter() - start
        ended.set()
        watch.join()
    if status:
        sys.exit((folder / "log").read_text())
    return seconds, max(peaks)


def _watch(pid: int, peaks: list[float], ended: threading.Event) -> None:
    while not ended.wait(0.1):
        try:
            first = psutil.Process(pid)
            family = [first, *first.children(recursive=True)]
            peaks.append(sum(one.memory_full_info().pss for one in family) / 2**20)
        except psutil.Error:  # one of them has just ended
            continue


def gather(source: Path, target: Path, count: int) -> None:
    """Links a number of images into class folders, the same number of each class."""
    paths = [path for path in source.rglob("*") if path.is_file()]
    by_name = sorted(paths, key=lambda path: (path.stem, path.parent.parts))
    for path in by_name[:count]:
        place = target / path.parent.name / f"{path.parent.parent.name}-{path.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, place)


def make_up(target: Path, count: int) -> None:
    """An archive of PNG images of 16 pixels a side: soft stains of colour, ten classes."""
    draw = np.random.default_rng(1)
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            stains = Image.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            file = io.BytesIO()
            stains.resize((16, 16), Image.Resampling.BICUBIC).save(file, "PNG", compress_level=1)
            archive.writestr(f"{number % 10}/{number:07}.png", file.getvalue())


def run_stages(
    folder: Path, images: str, fill: Callable[[Path], None], count: int, stages: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    """The seconds and MiB of each stage.

    Args:
        folder: for the project.
        images: the name of what `fill` makes in it.
        fill: makes the images.
        count: of the images.
        stages: which ones, in their order.
    """
    project = Project(folder)
    (folder / "dvc.lock").unlink()  # stages compare with what DVC made; here they run without it
    fill(folder / images)
    changes = {"dataset.path": images, "finetune.epochs": "2"}
    file = folder / "params.yaml"
    text = file.read_text(encoding="utf-8")
    for key, value in changes.items():
        section, name = key.split(".")
        before, mark, after = text.partition(f"\n{section}:")
        lines = after.splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith(f"  {name}:"))
        lines[place] = f"  {name}: {value}\n"
        text = before + mark + "".join(lines)
    file.write_text(text, encoding="utf-8")
    divide(max(1, round(count / _FILES_A_SHARD)), project.folder)
    shards = read_yaml_file(folder / SHARDS)["shards"]
    found = {}
    for address in stages:
        stage, _, key = address.partition("@")
        command = [str(BIN / "python"), "-m", "graft", stage]
        if stage == "manifest":
            command += ["--shards", str(shards["count"])]
        keys = (
            [key]
            if key
            else list(map(str, shards["keys"]))
            if stage in ("tensors", "features")
            else [""]
        )
        each = [run_measured(folder, [*command, *filter(None, [key])]) for key in keys]
        found[address] = sum(seconds for seconds, _ in each), max(peak for _, peak in each)
        print(f"{count:>10,} {address:20} {found[address][0]:8.1f} s {found[address][1]:6.0f} MiB")
        sys.stdout.flush()
    return found


def main() -> None:
    """Prints a table in Markdown."""
    what = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes", description=what)
    parser.add_argument("folder", nargs="?", type=Path, help="with class folders")
    parser.add_argument("--made-up", action="store_true")
    given = parser.parse_args()
    if bool(given.folder) == given.made_up:
        parser.error("give a folder or --made-up")
    counts, stages = (MADE_UP, STAGES[:1]) if given.made_up else (COUNTS, STAGES)
    found = []
    for count in counts:
        place = given.folder.resolve().parent if given.folder else None
        with tempfile.TemporaryDirectory(dir=place) as name:  # links can be made there
            project = Path(name) / "project"
            if given.made_up:
                images, fill = "images.zip", partial(make_up, count=count)
            else:
                images = "images"
                fill = partial(gather, given.folder.resolve(), count=count)
            found.append(run_stages(project, images, fill, count, stages))
    print("| stage | " + " | ".join(f"{count:,}" for count in counts) + " |")
    print("|---" * (len(counts) + 1) + "|")
    for stage in stages:
        cells = [f"{each[stage][0]:.1f} s, {each[stage][1]:.0f} MiB" for each in found]
        print(f"| {stage} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
