"""Projects of graft in folders of their own, and photos for them."""

import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def make_photos(folder: Path, count: int, classes: int = 5) -> Path:
    """JPEG photos of 320 × 240: waves whose direction tells the class, under the noise of a camera.

    Args:
        folder: that the class folders go to; photos that are there are kept.
        count: of photos in all.
        classes: as many.
    """
    y, x = np.mgrid[0:1:240j, 0:1:320j]
    for number in range(count):
        label = number % classes
        path = folder / f"class-{label}" / f"{number:06}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng(number)
        angle = np.pi * (label + draw.normal(0, 0.15)) / classes
        along = np.cos(angle) * x + np.sin(angle) * y
        waves = [np.sin(draw.uniform(20, 60) * along + draw.uniform(0, 6)) for _ in range(3)]
        pixels = 128 + 60 * np.stack(waves, -1) + draw.normal(0, 12, (240, 320, 3))
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
        path.write_bytes(file.getvalue())
    return folder


def pick_photos(source: Path, target: Path, count: int) -> Path:
    """Links to the first photos of each class folder, the same number of each.

    Args:
        source: class folders.
        target: is made anew.
        count: of photos in all.
    """
    folders = sorted(path for path in source.iterdir() if path.is_dir())
    for folder in folders:
        (target / folder.name).mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir())[: count // len(folders)]:
            (target / folder.name / path.name).symlink_to(path.absolute())
    return target


class Project:
    """A clone of this repository, as it is committed, driven by the commands that people use.

    Args:
        folder: where it is made.
        user: a folder with what graft keeps for all projects of a user; by default the project is
            the first of its user.
    """

    def __init__(self, folder: Path, user: Path | None = None) -> None:
        self.folder, self._user = folder, user or folder.with_suffix(".user")
        subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)

    def run(self, *command: str) -> str:
        """Runs a command of this environment in the project, and returns what it prints.

        Raises:
            CalledProcessError: it ended with another status than 0.
        """
        environment = os.environ | {
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            "PYTHONPATH": str(self.folder / "workflow"),
            "XDG_CACHE_HOME": str(self._user),
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            print(done.stdout, done.stderr, file=sys.stderr)
            done.check_returncode()
        return done.stdout

    def use(self, photos: Path, weights: str, **changes: str) -> None:
        """Takes photos with the recipe `photos`, and other parameters; a file of weights, too."""
        if (file := Path(weights)).is_file():
            weights = f"data/pretrained/{file.name}"
            shutil.copy(file, self.folder / weights)
        values = {"backbone.weights": weights, **changes}
        options = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        self.run("graft", "use", "photos", "--images", str(photos), *options, "--force")

    def build(self, *options: str) -> None:
        """Runs Snakemake on all cores."""
        self.run("snakemake", "--cores", "all", *options)

    def accuracy(self, model: str) -> float:
        """On the test part; of `head` or `finetuned`."""
        path = self.folder / f"reports/{model}/metrics.json"
        return json.loads(path.read_text(encoding="utf-8"))["accuracy"]


class Bench:
    """What a run of benchmarks has in common.

    Args:
        folder: an empty one, for all that is made.
        source: class folders with photos; None to make photos up.
        weights: `imagenet`, `none` or a file of MobileNetV2's.
        rounds: how often each thing is measured.
    """

    def __init__(self, folder: Path, source: Path | None, weights: str, rounds: int) -> None:
        self.folder, self.weights, self.rounds = folder, weights, rounds
        self._source, self._made = source, 0

    def photos(self, count: int) -> Path:
        """A folder of class folders with so many photos, or as many as there are."""
        target = self.folder / f"photos-{count}"
        if target.exists():
            return target
        return (
            pick_photos(self._source, target, count) if self._source else make_photos(target, count)
        )

    def project(self, photos: Path, user: Path | None = None, **changes: str) -> Project:
        """A new project with these photos and the recipe `photos`, changed so.

        Args:
            photos: a folder of class folders.
            user: as of `Project`.
            changes: parameters by dotted key.
        """
        self._made += 1
        project = Project(self.folder / f"project-{self._made}", user)
        project.use(photos, self.weights, **changes)
        return project

    def time(self, work: Callable[[], object]) -> float:
        """The seconds that something takes."""
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    def has(self, package: str) -> bool:
        """Whether a package is installed."""
        return importlib.util.find_spec(package) is not None
