"""Experiments of DVC, while the code and the parameters of the folder change."""

import signal
import time
from collections.abc import Iterator
from functools import partial
from itertools import product

from background import await_true
from faults.trial import Fault, Missed, Trial, Wrong
from faults.truth import md5, read_lock

KIND = "experiments"
SETTING = ("-S", "report.smoothing=0.25")
RATE = ("-S", "head.learning_rate=0.006")
QUEUE = ("queue", "start")


def faults() -> Iterator[Fault]:
    """All of them."""
    for setting in (SETTING, RATE):
        key = setting[1].partition("=")[0]
        yield Fault(KIND, f"exp run with {key}", partial(_plain, setting))
        yield Fault(KIND, f"exp run --temp with {key}", partial(_temporary, setting, ""))
    for room in ("report", "head"):
        name = f"exp run --temp, code of {room} edited"
        yield Fault(KIND, f"{name} before", partial(_edited_before, room))
        yield Fault(KIND, f"{name} as it starts", partial(_temporary, SETTING, room))
    queued = product(("report", "head"), (("exp", "run", "--run-all"), QUEUE))
    for room, command in (*queued, ("", QUEUE)):
        edited = f"code of {room}" if room else "nothing"
        name = f"exp run --queue, {edited} edited, dvc {' '.join(command)}"
        yield Fault(KIND, name, partial(_queued, room, command))
    for point in ("start", "after"):
        name = f"exp run, parameters edited while report is at {point}"
        yield Fault(KIND, name, partial(_mid_run, point))
    yield Fault(KIND, "exp run killed, then another", _killed)


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
        trial.edit_code(room)
    trial.end(run, whole=False)
    _check_records(trial)


def _edited_before(room: str, trial: Trial) -> None:
    """The experiment takes the folder's edits along, and they change again while it runs."""
    trial.edit_code(room)
    with trial.held(None, "report", "start", "dvc", "exp", "run", "--temp", *SETTING) as run:
        trial.edit_code(room)
    trial.end(run, whole=False)
    _check_records(trial)


def _queued(room: str, command: tuple[str, ...], trial: Trial) -> None:
    trial.must("dvc", "exp", "run", "--queue", *SETTING)
    if room:
        trial.edit_code(room)
    trial.end(trial.start("dvc", *command), whole=False)
    if command == QUEUE:
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
    with trial.held(None, "report", point, "dvc", "exp", "run", *SETTING) as run:
        trial.edit({"report.smoothing": 0.35})
    trial.end(run)
    _check_records(trial)


def _killed(trial: Trial) -> None:
    with trial.held(None, "report", "half", "dvc", "exp", "run", *SETTING) as run:
        run.send(signal.SIGKILL)
    trial.settle()
    trial.end(run)
    _plain(("-S", "report.smoothing=0.6"), trial)


def _check_records(trial: Trial) -> None:
    """Every experiment must have recorded what the code of its commit makes.

    Raises:
        Wrong: one has not.
    """
    for ref in trial.git("for-each-ref", "refs/exps", "--format=%(refname)").split():
        if ref.split("/")[2] in {"celery", "exec", "apply", "init"} or "stash" in ref.split("/"):
            continue
        tree = trial.top / "trees" / ref.replace("/", "-")
        tree.mkdir(parents=True)
        archive = tree.with_suffix(".tar")
        trial.git("archive", f"--output={archive}", ref)
        trial.made.run("tar", "-xf", str(archive), "-C", str(tree))
        locked = (out for entry in read_lock(tree / "dvc.lock").values() for out in entry["outs"])
        outs = {out["path"]: out.get("md5") for out in locked}
        expected = trial.base.expect(tree)
        false = [path for path, content in expected.items() if outs.get(path) != md5(content)]
        if false:
            about = f"{len(false)}, such as {false[0]}"
            raise Wrong(f"silently wrong: a commit has other results than its code: {about}")
