"""Parameters and code that are edited, checked out or stashed while an engine runs."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from faults.moments import HEAD, LONG, REPORT, await_renamed, gap
from faults.trial import ENGINES, Fault, Trial, Wrong
from graft.project.pipeline import PACKAGE
from standin import POINTS

# By stage: what makes it stale, what it is changed to in mid-run, and a room of its code.
EDITS = {
    "report": (REPORT, {"report.smoothing": 0.35}, "report"),
    "head": (HEAD, {"head.learning_rate": 0.006}, "head"),
    "finetune": (HEAD, {"finetune.learning_rate": 0.0002}, "finetune"),
    "evaluate@head": (HEAD, {"dataset.classes": ["a", "b"]}, "evaluation"),
}
OTHER_ENGINE = {"dvc": "snakemake", "snakemake": "dvc"}
Action = Callable[[Trial], None]


def faults() -> Iterator[Fault]:
    """All of them."""
    yield from _parameters()
    yield from _at_random()
    yield from _code()
    yield from _harmless()
    yield from _git()
    yield from _between()
    yield from _gap()


def edit_code(trial: Trial, room: str) -> None:
    """Appends a comment to the code of a room."""
    with _module(trial, room).open("a", encoding="utf-8") as file:
        file.write(f"# {trial.random.random()}\n")
    trial.learn()


def _module(trial: Trial, room: str) -> Path:
    return trial.path(PACKAGE) / room / "__init__.py"


def _during(address: str, point: str, edit: Action, undo: Action | None, trial: Trial) -> None:
    """An edit at a point of a stage, undone before the stage ends if there is an `undo`."""
    late = trial.hold(address, "after") if undo and point != "after" else None
    with trial.held(None, address, point) as run:
        edit(trial)
    if undo:
        if late:
            trial.arrive(run, late)
        undo(trial)
    if late:
        late.unlink()
    trial.end(run)


def _parameters() -> Iterator[Fault]:
    turn = 0
    for address, points in (("report", POINTS), ("head", POINTS), ("finetune", ("half",))):
        before, after, _ = EDITS[address]
        for point in points:
            for back in (False, True):
                for engine in ENGINES if address == "report" else [list(ENGINES)[turn % 2]]:
                    turn += 1
                    what = "edited and reverted" if back else "edited"
                    edit = partial(_set, values=after)
                    # Without a parameter of its own, `before` is what the stage started with.
                    start = (
                        before
                        if address != "finetune"
                        else before | {"finetune.learning_rate": 0.0001}
                    )
                    undo = partial(_set, values=start) if back else None
                    yield Fault(
                        "parameters edited in mid-run",
                        f"{what} while {address} of {engine} is at {point}",
                        0,
                        partial(_during, address, point, edit, undo),
                        engine,
                        OTHER_ENGINE[engine] if turn % 3 == 0 and address == "report" else "dvc",
                        changes=start,
                    )
    yield Fault(
        "parameters edited in mid-run",
        "a section that evaluate@head shares, edited at half",
        0,
        partial(
            _during, "evaluate@head", "half", partial(_set, values=EDITS["evaluate@head"][1]), None
        ),
        changes=HEAD,
    )


def _set(trial: Trial, values: dict[str, object]) -> None:
    trial.edit(values)


def _code() -> Iterator[Fault]:
    turn = 0
    for address in ("report", "head", "evaluate@head"):
        before, _, room = EDITS[address]
        for point in POINTS if address == "report" else ("start", "after"):
            for back in (False, True):
                engine = list(ENGINES)[turn % 2] if address == "report" else "dvc"
                turn += 1
                what = "edited and reverted" if back else "edited"
                yield Fault(
                    "code edited in mid-run",
                    f"{what} while {address} of {engine} is at {point}",
                    0,
                    partial(_code_during, address, point, room, back),
                    engine,
                    changes=before,
                )


def _code_during(address: str, point: str, room: str, back: bool, trial: Trial) -> None:
    module = _module(trial, room)
    content = module.read_bytes()

    def undo(_: Trial) -> None:
        module.write_bytes(content)

    _during(address, point, partial(edit_code, room=room), undo if back else None, trial)


def _harmless() -> Iterator[Fault]:
    """Edits that concern no stage that runs or has run: the run must not stop over them."""
    for engine in ENGINES:
        for address, point, name, edit in (
            ("head", "half", "a parameter of a later stage only", partial(_set, values=REPORT)),
            ("report", "half", "a comment in params.yaml", _comment),
            ("report", "after", "a comment in params.yaml", _comment),
            ("head", "after", "code of a later stage only", partial(edit_code, room="report")),
            ("report", "half", "code of no stage", partial(edit_code, room="tools")),
            ("report", "before", "a file beside the project's", _note_file),
        ):
            yield Fault(
                "edits that concern no running stage",
                f"{name}, while {address} of {engine} is at {point}",
                0,
                partial(_not_stopped, address, point, edit),
                engine,
                changes=HEAD if address == "head" else REPORT,
            )


def _comment(trial: Trial) -> None:
    with trial.path("params.yaml").open("a", encoding="utf-8") as file:
        file.write("# a remark\n")


def _note_file(trial: Trial) -> None:
    trial.path("notes.txt").write_text("to do: everything\n", encoding="utf-8")


def _not_stopped(address: str, point: str, edit: Action, trial: Trial) -> None:
    with trial.held(None, address, point) as run:
        edit(trial)
    if trial.end(run):
        raise Wrong("false alarm: the run fails over an edit that concerns nothing that it runs")


def _git() -> Iterator[Fault]:
    for address in ("report", "head"):
        for point in ("start", "after"):
            for name, action in (
                ("git checkout params.yaml", partial(_git_run, command="checkout params.yaml")),
                ("git stash", partial(_git_run, command="stash")),
                ("git checkout of a branch", partial(_git_run, command="checkout other")),
            ):
                engine = "snakemake" if address == "report" and point == "after" else "dvc"
                yield Fault(
                    "git in mid-run",
                    f"{name} while {address} of {engine} is at {point}",
                    0,
                    partial(_git_during, address, point, action),
                    engine,
                    changes=EDITS[address][0],
                )


def _git_during(address: str, point: str, action: Action, trial: Trial) -> None:
    made = trial.made
    if "other" in str(action):
        # Two branches: one with the parameters that the run starts with, one with others.
        before = made.values()
        made.run("git", "checkout", "--quiet", "-b", "other")
        trial.edit(EDITS[address][1])
        edit_code(trial, EDITS[address][2])
        made.commit()
        made.run("git", "checkout", "--quiet", "main")
        trial.edit(EDITS[address][0])
        made.commit()
        assert made.values() == before
    _during(address, point, action, None, trial)


def _git_run(trial: Trial, command: str) -> None:
    trial.made.run("git", *command.split())
    trial.learn()


def _between() -> Iterator[Fault]:
    """Edits of what an earlier stage of the same run was made with."""
    rate, tuning = {"head.learning_rate": 0.006}, {"finetune.learning_rate": 0.0002}
    for engine in ENGINES:
        for address, name, edit in (
            ("finetune", "parameters of head", partial(_set, values=rate)),
            ("evaluate@head", "parameters of head", partial(_set, values=rate)),
            ("report", "parameters of finetune", partial(_set, values=tuning)),
            ("report", "code of evaluate", partial(edit_code, room="evaluation")),
            ("finetune", "code of head", partial(edit_code, room="head")),
        ):
            yield Fault(
                "edits between two stages",
                f"{name}, as {address} of {engine} starts",
                0,
                partial(_during, address, "start", edit, None),
                engine,
                changes=HEAD,
            )


def _gap() -> Iterator[Fault]:
    """Edits after the end of a stage, before DVC has hashed anything."""
    for engine in ENGINES:
        for address in ("report", "head"):
            before, after, room = EDITS[address]
            cases: list[tuple[str, Action]] = [
                ("parameters", partial(_set, values=after)),
                ("code", partial(edit_code, room=room)),
            ]
            if address == "report":
                cases += [("its input", partial(_append, path="reports/head/metrics.json"))]
                cases += [("its output", partial(_append, path="reports/index.html"))]
            for name, edit in cases:
                yield Fault(
                    "edits before DVC has recorded",
                    f"{name} edited while {engine} has not seen the end of {address}",
                    0,
                    partial(_in_gap, address, edit),
                    engine,
                    changes=before,
                )
    for seed in range(10):
        yield Fault(
            "edits before DVC has recorded",
            "parameters edited as the outputs of report appear",
            seed,
            _as_renamed,
            list(ENGINES)[seed % 2],
            changes=REPORT,
        )


def _append(trial: Trial, path: str) -> None:
    with trial.path(path).open("ab") as file:
        file.write(b"changed by hand\n")


def _in_gap(address: str, edit: Action, trial: Trial) -> None:
    run = trial.start()
    with gap(trial, run, address):
        edit(trial)
    trial.end(run)


def _as_renamed(trial: Trial) -> None:
    run = trial.start()
    await_renamed(trial, run, "report")
    time.sleep(trial.random.choice((0.0, trial.random.uniform(0, 0.05), trial.random.random())))
    trial.edit(EDITS["report"][1])
    trial.end(run)


def _at_random() -> Iterator[Fault]:
    for seed in range(12):
        engine = list(ENGINES)[seed % 2]
        extent = "head" if seed % 4 == 0 else "report"
        yield Fault(
            "parameters edited in mid-run",
            f"edited at a random moment of {engine}, building {extent}",
            seed,
            partial(_moment, extent),
            engine,
            changes=EDITS[extent][0],
        )


def _moment(extent: str, trial: Trial) -> None:
    run = trial.start()
    time.sleep(trial.random.uniform(0.1, LONG[trial.engine, extent]))
    trial.edit(EDITS[extent][1])
    trial.end(run)
