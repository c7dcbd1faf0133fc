"""The picture of a run, `workflow/scripts/timeline.py`, from logs that runs leave."""

import os
import runpy
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from images import ROOT
from project import Project

SCRIPT = runpy.run_path(str(ROOT / "workflow/scripts/timeline.py"))
NOON = datetime(2026, 3, 1, 12).timestamp()


def leave(address: str, start: float, seconds: float, cpu: float = 0.0) -> None:
    """The log of a stage that began some seconds after noon."""
    path = Path(f"logs/{address}.tsv")
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"s\tmax_rss\tcpu_time\n{seconds}\t100\t{cpu}\n")
    os.utime(path, (0, NOON + start + seconds))


def run_engine(start: int, end: float, jobs: dict[str, int] | None = None) -> None:
    """The log of a Snakemake that began some seconds after noon, and when it started stages."""
    folder = Path(".snakemake/log")
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["Provided cores: 3 (use --cores to define parallelism)"]
    for address, began in (jobs or {}).items():
        lines += [f"[{datetime.fromtimestamp(NOON + began).ctime()}]", "localrule some:"]
        lines += ["    input: a.csv", f"    log: logs/{address}.log", "    jobid: 3"]
    path = folder / datetime.fromtimestamp(NOON + start).strftime(
        "%Y-%m-%dT%H%M%S.%f.snakemake.log"
    )
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (0, NOON + end))


def find() -> tuple[dict[str, tuple[float, float, float]], float, float, int | None]:
    """By stage when it was started, began and ended; both ends of the run; its cores."""
    bars = SCRIPT["read_bars"](Path("logs"))
    own, run = SCRIPT["find_run"](bars, SCRIPT["read_spans"](Path(".snakemake/log")))
    times = {b.address: (b.asked - NOON, b.start - NOON, b.end - NOON) for b in own}
    return times, run.start - NOON, run.end - NOON, run.cores


def test_the_last_run_has_the_stages_that_began_in_it(empty: Path) -> None:
    run_engine(0, 50, {"split": 10})
    leave("manifest", 5, 5)
    leave("split", 11, 3)
    assert find() == ({"manifest": (5, 5, 10), "split": (11, 11, 14)}, 0, 50, 3)
    # Snakemake writes whole seconds, and a stage may wait for what is imported.
    run_engine(100, 200, {"head": 110, "report": 150})
    leave("head", 130, 5)
    leave("report", 150.5, 2)
    run_engine(120, 121)  # `snakemake -n` meanwhile
    run_engine(300, 301)  # nothing was to be done
    started = {"head": (111, 130, 135), "report": (150.5, 150.5, 152.5)}
    assert find() == (started, 100, 200, 3)
    # `dvc repro` leaves no log of its own.
    leave("finetune", 400, 20)
    assert find() == ({"finetune": (400, 400, 420)}, 400, 420, None)


def test_cores_are_summed_over_stages(empty: Path) -> None:
    run_engine(0, 10, {"head": 2})
    leave("tensors@0", 1, 5, cpu=5)
    leave("tensors@1", 1, 5, cpu=2.5)
    leave("head", 4, 4, cpu=8)
    leave("depth", 9, 0)
    own, run = SCRIPT["find_run"](
        SCRIPT["read_bars"](Path("logs")), SCRIPT["read_spans"](Path(".snakemake/log"))
    )
    times, cores, stages = SCRIPT["add_up_cores"](own, run)
    np.testing.assert_allclose(times - NOON, [0, 1, 3, 4, 6, 8, 9, 10], atol=1e-6)
    np.testing.assert_allclose(cores, [0, 1.5, 1.5, 3.5, 2, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(stages, [0, 2, 3, 3, 1, 0, 0])


@pytest.mark.parametrize("seconds", [0.0, 3.0, 50_000.0])
def test_the_picture_has_a_row_for_each_stage_and_one_for_its_shards(
    empty: Path, seconds: float
) -> None:
    heights = []
    for addresses in (("tensors@0",), ("tensors@1",), ("evaluate@head", "evaluate@finetuned")):
        for address in addresses:
            leave(address, 0, seconds, cpu=seconds)
        SCRIPT["main"](["run.png"])
        with Image.open("run.png") as picture:
            heights.append(picture.height)
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 10
    assert heights[0] == heights[1] < heights[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "given the .png to write. Received: ''"),
        (["a.png", "b.png"], "given the .png to write. Received: 'a.png b.png'"),
        (["run.svg"], "given the .png to write. Received: 'run.svg'"),
        (["docs/run.png"], "a file in a folder that exists. Received: 'docs/run.png'"),
        (["run.png"], "run where a run has left its logs, logs/STAGE.tsv. Received: 'no such file"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    empty: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        SCRIPT["main"](arguments)
    assert ending.value.code == 2
    assert message in capsys.readouterr().err
    assert [*empty.iterdir()] == []


@pytest.mark.parametrize(
    "text", ["", "s\tcpu_time\n", "s\tcpu_time\n1\tx\n", "s\tcpu_time\n-1\t2\n", "s\n1\n", "\0\xff"]
)
def test_a_log_that_is_none_is_named(
    empty: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    leave("split", 0, 1)
    Path("logs/head.tsv").write_bytes(text.encode("latin-1"))
    with pytest.raises(SystemExit):
        SCRIPT["main"](["run.png"])
    assert "logs/head.tsv must be one row of seconds" in capsys.readouterr().err
    assert not Path("run.png").exists()


def test_logs_of_a_real_run_are_understood(
    standins: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    standins.change({"split.seed": 2})
    standins.snakemake("--cores", "2")
    monkeypatch.chdir(standins.folder)
    (run,) = SCRIPT["read_spans"](Path(".snakemake/log"))
    own, found = SCRIPT["find_run"](SCRIPT["read_bars"](Path("logs")), [run])
    assert "split" in {bar.address for bar in own} == set(run.jobs)
    assert "manifest" not in run.jobs
    assert found.cores == 2
