"""Whole builds beside whole scripts: from photos to metrics."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measuring import Row, alternate, find_ratio, show_times
from benchmarks.projects import BIN, Bench, Project

PEERS = Path(__file__).parent / "peers"
_EPOCHS = 5
# What the default job took on two cores with commit 2ab805b, in seconds.
_BEFORE = 37


def run_peer(name: str, *arguments: str) -> str:
    """Runs a program of `peers/`, and returns the last line that it prints."""
    command = [sys.executable, PEERS / f"{name}.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        done.check_returncode()
    return done.stdout.splitlines()[-1]


def _find_torch_weights(bench: Bench) -> str:
    """The weights of torchvision's network: it cannot read a file of Keras."""
    return bench.weights if bench.weights == "imagenet" else "none"


def compare_head(bench: Bench, count: int, most: float, second: bool = False) -> Iterator[Row]:
    """Photos to an audited split, a head, test metrics and the page; beside a script.

    Args:
        bench: what the run has in common.
        count: of photos.
        most: times the script's time.
        second: whether the user has had another project with the network.
    """
    photos, made, said = bench.photos(count), [], []
    changes = {"finetune.unfreeze": "none"}
    user = bench.folder / "user" if second else None
    if second:
        bench.project(bench.photos(100), user, **changes).build()
    projects = [bench.project(photos, user, **changes) for _ in range(bench.rounds)]

    def graft() -> None:
        made.append(projects.pop())
        made[-1].build()

    def keras() -> None:
        said.append(run_peer("keras_features", str(photos), bench.weights))

    ours, others = alternate(graft, keras, bench.rounds)
    which = "second" if second else "first"
    what = f"{count:,} photos to a head, its metrics and the page, {which} project of a user"
    yield Row(
        what,
        "a dozen lines of Keras",
        find_ratio(ours, others),
        most,
        f"{show_times(ours)}, {show_times(others)}",
        at_most=True,
        note=f"accuracy {made[-1].accuracy('head'):.1%}, {float(said[-1]):.1%}",
    )
    if count > 1000 or second or not bench.has("torchvision"):
        return
    run = partial(run_peer, "torchvision_features", str(photos), _find_torch_weights(bench))
    others = [bench.time(run)]
    yield Row(
        what,
        "torchvision and scikit-learn",
        find_ratio(ours, others),
        most,
        f"{show_times(ours)}, {show_times(others)}",
        at_most=True,
    )


def compare_finetuning(bench: Bench) -> Iterator[Row]:
    """The same with fine-tuning, beside the flow of Keras' guide with as many epochs."""
    photos, made, said = bench.photos(600), [], []
    changes = {"finetune.epochs": str(_EPOCHS), "augment.rotation": "10"}
    projects = [bench.project(photos, **changes) for _ in range(bench.rounds)]

    def graft() -> None:
        made.append(projects.pop())
        made[-1].build()

    def keras() -> None:
        said.append(run_peer("keras_finetuning", str(photos), bench.weights, str(_EPOCHS)))

    ours, others = alternate(graft, keras, bench.rounds)
    yield Row(
        f"600 photos to a fine-tuned model, {_EPOCHS} epochs of all layers",
        "Keras' guide, as many epochs",
        find_ratio(others, ours),
        2.5,
        f"{show_times(ours)}, {show_times(others)}",
        note=f"accuracy {made[-1].accuracy('finetuned'):.1%}, {float(said[-1]):.1%}",
    )
    if not bench.has("torchvision"):
        return
    arguments = str(photos), _find_torch_weights(bench), str(_EPOCHS)
    others = [bench.time(partial(run_peer, "torchvision_finetuning", *arguments))]
    yield Row(
        f"600 photos to a fine-tuned model, {_EPOCHS} epochs of all layers",
        "the same by PyTorch and torchvision",
        find_ratio(others, ours),
        2.5,
        f"{show_times(ours)}, {show_times(others)}",
    )


def compare_change(bench: Bench) -> Iterator[Row]:
    """Another kind of head on the same features, without fine-tuning, beside the first build."""
    photos, changes = bench.photos(600), {"finetune.unfreeze": "none"}
    project = bench.project(photos, **changes)
    first = [bench.time(project.build)]
    again = []
    for kind in ("svm", "dense"):
        project.use(photos, bench.weights, **changes, **{"head.kind": kind})
        again.append(bench.time(project.build))
    yield Row(
        "`head.kind` changed, rebuilt",
        "the first build",
        find_ratio(first, again),
        5,
        f"{show_times(again)}, {show_times(first)}",
    )


def compare_nothing(bench: Bench) -> Iterator[Row]:
    """A run in which nothing is to be done, beside the import of both engines."""
    project = Project(bench.folder / "nothing")
    project.build()
    imports = "import dvc.commands.repro, dvc.repo, snakemake.cli, snakemake.api"
    command = [BIN / "python", "-c", imports]
    for name, work in (
        ("`snakemake`", project.build),
        ("`dvc repro`", partial(project.run, "dvc", "repro")),
    ):
        work()
        rounds = 3 * bench.rounds
        ours, others = alternate(work, lambda: subprocess.run(command, check=True), rounds)
        yield Row(
            f"{name}, nothing to be done",
            "importing DVC and Snakemake",
            find_ratio(ours, others),
            1.3,
            f"{show_times(ours)}, {show_times(others)}",
            at_most=True,
        )


def time_default(bench: Bench) -> Iterator[Row]:
    """The main job of a fresh clone, beside what it took before; comparable on one machine only."""
    projects = [Project(bench.folder / f"default-{n}") for n in range(bench.rounds)]
    for project in projects:
        (project.folder / "dvc.lock").unlink()
    times = [bench.time(project.build) for project in projects]
    yield Row(
        "the main job of a fresh clone",
        f"{_BEFORE} s before, on two cores",
        _BEFORE / statistics.median(times),
        1.6,
        show_times(times),
    )
