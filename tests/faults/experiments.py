"""Experiments of DVC, while the code and the parameters of the folder change."""

import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from faults.edits import edit_code
from faults.runs import await_true
from faults.trial import Fault, Missed, Trial, Wrong
from faults.truth import md5, read_lock

KIND = "experiments"
SETTING = ("-S", "report.smoothing=0.25")
RATE = ("-S", "head.learning_rate=0.006")


def faults() -> Iterator[Fault]:
    """All of them."""
    for setting in (SETTING, RATE):
        key = setting[1].partition("=")[0]
        yield Fault(KIND, f"exp run with {key}", 0, partial(_plain, setting))
        yield Fault(KIND, f"exp run --temp with {key}", 0, partial(_temporary, setting, ""))
    for room in ("report", "head"):
        name = f"exp run --temp, code of {room} edited"
        yield Fault(KIND, f"{name} before", 0, partial(_edited_before, room))
        yield Fault(KIND, f"{name} as it starts", 0, partial(_temporary, SETTING, room))
        for command in (("exp", "run", "--run-all"), ("queue", "start")):
            name = f"exp run --queue, code of {room} edited, dvc {' '.join(command)}"
            yield Fault(KIND, name, 0, partial(_queued, room, command))
    yield Fault(
        KIND,
        "exp run --queue, nothing edited, dvc queue start",
        0,
        partial(_queued, "", ("queue", "start")),
    )
    for point in ("start", "after"):
        yield Fault(
            KIND,
            f"exp run, parameters edited while report is at {point}",
            0,
            partial(_mid_run, point),
        )
    yield Fault(KIND, "exp run killed, then another", 0, _killed)


def _plain(setting: tuple[str, ...], trial: Trial) -> None:
    run = trial.start("dvc", "exp", "run", *setting)
    run.wait(240)
    trial.learn()
    trial.end(run)
    _check_records(trial)


def _temporary(setting: tuple[str, ...], room: str, trial: Trial) -> None:
    run = trial.start("dvc", "exp", "run", "--temp", *setting)
    if room:
        time.sleep(trial.random.uniform(0.5, 2))
        edit_code(trial, room)
    trial.end(run, whole=False)
    _check_records(trial)


def _edited_before(room: str, trial: Trial) -> None:
    """The experiment takes the folder's edits along, and they change again while it runs."""
    edit_code(trial, room)
    mark = trial.hold("report", "start")
    run = trial.start("dvc", "exp", "run", "--temp", *SETTING)
    trial.arrive(run, mark)
    edit_code(trial, room)
    mark.unlink()
    trial.end(run, whole=False)
    _check_records(trial)


def _queued(room: str, command: tuple[str, ...], trial: Trial) -> None:
    trial.must("dvc", "exp", "run", "--queue", *SETTING)
    if room:
        edit_code(trial, room)
    trial.end(trial.start("dvc", *command), whole=False)
    if command[0] == "queue":
        _await_queue(trial)
    _check_records(trial)


def _await_queue(trial: Trial) -> None:
    def done() -> bool:
        printed = trial.call("dvc", "queue", "status").text
        return "Queued" not in printed.partition("Worker")[0] and "Running" not in printed

    if not await_true(done, 120, 1):
        raise Missed("the queue did not end in 120 s")
    trial.call("dvc", "queue", "stop", "--kill")


def _mid_run(point: str, trial: Trial) -> None:
    run = trial.start("dvc", "exp", "run", *SETTING)
    with trial.held(run, "report", point):
        trial.edit({"report.smoothing": 0.35})
    trial.end(run)
    _check_records(trial)


def _killed(trial: Trial) -> None:
    with trial.held(None, "report", "half", "dvc", "exp", "run", *SETTING) as run:
        run.send(signal.SIGKILL, group=True)
    trial.settle()
    trial.end(run)
    _plain(("-S", "report.smoothing=0.6"), trial)


def _check_records(trial: Trial) -> None:
    """Every experiment must have recorded what the code of its commit makes.

    Raises:
        Wrong: one has not.
    """
    made = trial.made
    names = made.run("git", "for-each-ref", "refs/exps", "--format=%(refname)").split()
    for ref in names:
        if ref.split("/")[2] in {"celery", "exec", "apply", "init"} or "stash" in ref.split("/"):
            continue
        tree = trial.top / "trees" / ref.replace("/", "-")
        _extract(trial, ref, tree)
        expected = trial.base.expect(tree)
        outs = {
            out["path"]: out.get("md5")
            for entry in read_lock(tree / "dvc.lock").values()
            for out in entry["outs"]
        }
        false = [path for path, content in expected.items() if outs.get(path) != md5(content)]
        if false:
            raise Wrong(
                f"silently wrong: an experiment's commit has other results than its code: "
                f"{len(false)}, such as {false[0]}"
            )


def _extract(trial: Trial, ref: str, tree: Path) -> None:
    tree.mkdir(parents=True)
    archive = tree.with_suffix(".tar")
    trial.made.run("git", "archive", f"--output={archive}", ref)
    trial.made.run("tar", "-xf", str(archive), "-C", str(tree))
