"""Peak memory of each stage up to the features, by the number of images.

    uv run python benchmarks/memory.py FOLDER_OR_ARCHIVE

Takes 1,000, 10,000 and 60,000 images of a folder of class folders, such as CIFAR-10, runs the
stages one by one in a temporary folder, and prints the peak of each: the resident memory of its
largest process, as the system counts it.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from graft.project.choices import divide
from graft.project.pipeline import count_shards, stage_keys

ROOT = Path(__file__).parent.parent
COUNTS = (1000, 10_000, 60_000)
STAGES = ("manifest", "tensors", "duplicates", "split", "backbone", "features")


def peak(folder: Path, address: str) -> float:
    """Runs a stage in a folder: its peak of resident memory in MiB."""
    stage, _, key = address.partition("@")
    command = [sys.executable, "-m", "graft", stage, *([key] if key else [])]
    if stage == "manifest":
        command += ["--shards", str(len(stage_keys("tensors")))]
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    here = Path.cwd()
    os.chdir(folder)
    actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    os.chdir(here)
    os.close(log)
    _, status, used = os.wait4(process, 0)
    if status:
        sys.exit((folder / "log").read_text())
    return used.ru_maxrss / 1024


def gather(source: Path, target: Path, count: int) -> None:
    """Links a number of images into class folders, the same number of each class."""
    paths = [path for path in source.rglob("*") if path.is_file()]
    by_name = sorted(paths, key=lambda path: (path.stem, path.parent.parts))
    for path in by_name[:count]:
        place = target / path.parent.name / f"{path.parent.parent.name}-{path.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, place)


def main() -> None:
    """Prints a line a stage."""
    source = Path(sys.argv[1]).resolve()
    os.chdir(ROOT)
    results: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for count in COUNTS:
        # Beside the images, where links can be made.
        with tempfile.TemporaryDirectory(dir=source.parent) as name:
            folder = Path(name)
            for file in ("dvc.yaml", "params.yaml"):
                shutil.copyfile(ROOT / file, folder / file)
            text = (folder / "params.yaml").read_text(encoding="utf-8")
            old = next(line for line in text.splitlines() if line.startswith("  path:"))
            (folder / "params.yaml").write_text(text.replace(old, "  path: photos"), "utf-8")
            divide(count_shards(), folder)
            shutil.copytree(ROOT / "data/pretrained", folder / "data/pretrained")
            gather(source, folder / "photos", count)
            for stage in STAGES:
                keys = stage_keys(stage)
                addresses = [f"{stage}@{key}" for key in keys] or [stage]
                results[stage].append(max(peak(folder, address) for address in addresses))
    print(f"{'MiB at images:':14}" + "".join(f"{count:>10,}" for count in COUNTS))
    for stage, peaks in results.items():
        print(f"{stage:14}" + "".join(f"{value:>10.0f}" for value in peaks))


if __name__ == "__main__":
    main()
