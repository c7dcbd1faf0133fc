"""How long the stage `report` takes, and how large its page is, for made-up runs of any size.

    uv run python benchmarks/report.py [--classes N] [--tests N] [--side PIXELS] [--keep FOLDER]

Without numbers, four runs are made: 2 classes with 2,000 test images of 224 pixels, 54 with 2,000,
1,000 with 5,000, and 1,000 with 50,000 of 64 pixels. The images are cut from two photos that come
with scikit-learn. Printed are seconds and the peak of memory of a process that runs only the stage,
and the megabytes of `index.html`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_sample_images

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/helpers"))

from images import workspace
from runs import make_run

RUNS = ((2, 2000, 224), (54, 2000, 224), (1000, 5000, 64), (1000, 50_000, 64))
# The stage in a process of its own: seconds, and the peak of memory in megabytes.
MEASURED = """
import resource, time
start = time.monotonic()
from graft.project.launcher import run_stage
run_stage(["report"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
own = time.process_time()
print(f"{time.monotonic() - start:.1f} s ({own:.1f} s of a core), {peak:.0f} MB", end="")
"""
WORDS = ("red", "grey", "little", "great", "crowned", "spotted", "common", "northern")
KINDS = ("fox", "heron", "owl", "finch", "warbler", "gull", "tern", "hawk", "wren", "lark", "duck")


def names(count: int) -> list[str]:
    """Names as people give them, some short and some long."""
    if count == 2:
        return ["cat", "dog"]
    found = [f"{word} {kind}" for word in WORDS for kind in KINDS]
    return sorted((found + [f"{name} {i}" for i in range(2, 20) for name in found])[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("classes", "tests", "side"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--keep", type=Path, help="a new folder for the page")
    options = parser.parse_args()
    own = (options.classes, options.tests, options.side or 64)
    for classes, tests, side in (own,) if options.classes else RUNS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.keep or Path(temporary)
            folder.mkdir(exist_ok=True)
            network = {"backbone.name": "MobileNetV2", "backbone.weights": "none"}
            workspace(folder, network | {"image.side": side})
            make_run(folder, names(classes), tests, side, 0.12, load_sample_images()["images"])
            command = [sys.executable, "-c", MEASURED]
            done = subprocess.run(
                command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
            )
            size = (folder / "reports/index.html").stat().st_size / 1e6
            print(
                f"{classes} classes, {tests} test images: {done.stdout}, {size:.1f} MB", flush=True
            )


if __name__ == "__main__":
    main()
