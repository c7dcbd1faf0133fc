"""Parameters and code that are edited, checked out or stashed while an engine runs."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

from faults.moments import GAP, HEAD, LONG, REPORT, Action, await_renamed, meanwhile
from faults.trial import EITHER, Fault, Trial, Wrong
from graft.project.pipeline import PACKAGE
from standin import POINTS

# By stage: what makes it stale, what it is changed to in mid-run, and a room of its code.
EDITS = {
    "report": (REPORT, {"report.smoothing": 0.35}, "report"),
    "head": (HEAD, {"head.learning_rate": 0.006}, "head"),
    "finetune": (HEAD, {"finetune.learning_rate": 0.0002}, "finetune"),
    "evaluate@head": (HEAD, {"dataset.classes": ["a", "b"]}, "evaluation"),
}


def faults() -> Iterator[Fault]:
    """All of them."""
    yield from _parameters()
    yield from _at_random()
    yield from _code()
    yield from _harmless()
    yield from _git()
    yield from _between()
    yield from _gap()


def set_to(values: dict[str, Any]) -> Action:
    """Sets parameters."""
    return lambda trial: trial.edit(values)


def edit_code(room: str) -> Action:
    """Appends a comment to the code of a room."""
    return lambda trial: trial.edit_code(room)


def append(path: str, text: str) -> Action:
    """Appends a line to a file, or writes a new one."""
    return lambda trial: trial.append(path, text)


def _back_and_forth(address: str, point: str, edit: Action, undo: Action, trial: Trial) -> None:
    """An edit at a point of a stage, undone before the stage ends."""
    late = trial.made.hold(address, "after") if point != "after" else None
    with trial.held(None, address, point) as run:
        edit(trial)
    if late:
        trial.arrive(run, late)
    undo(trial)
    if late:
        late.unlink()
    trial.end(run)


def _parameters() -> Iterator[Fault]:
    kind = "parameters edited in mid-run"
    turn = 0
    for address, points in (("report", POINTS), ("head", POINTS), ("finetune", ("half",))):
        start, after, _ = EDITS[address]
        if address == "finetune":  # it is stale, but not by a parameter of its own
            start = start | {"finetune.learning_rate": 0.0001}
        for point, back in product(points, (False, True)):
            for engine in EITHER if address == "report" else [EITHER[turn % 2]]:
                turn += 1
                what = "edited and reverted" if back else "edited"
                name = f"{what} while {address} of {engine} is at {point}"
                inject = partial(meanwhile, set_to(after), address, point)
                if back:
                    inject = partial(_back_and_forth, address, point, set_to(after), set_to(start))
                other = turn % 3 == 0 and address == "report"
                cure = EITHER[engine == "snakemake"] if other else "dvc"
                yield Fault(kind, name, inject, engine=engine, cure=cure, changes=start)
    name = "a section that evaluate@head shares, edited at half"
    inject = partial(meanwhile, set_to(EDITS["evaluate@head"][1]), "evaluate@head", "half")
    yield Fault(kind, name, inject, changes=HEAD)


def _code() -> Iterator[Fault]:
    turn = 0
    for address in ("report", "head", "evaluate@head"):
        before, _, room = EDITS[address]
        points = POINTS if address == "report" else ("start", "after")
        for point, back in product(points, (False, True)):
            engine = EITHER[turn % 2] if address == "report" else "dvc"
            turn += 1
            what = "edited and reverted" if back else "edited"
            name = f"{what} while {address} of {engine} is at {point}"
            inject = partial(meanwhile, edit_code(room), address, point)
            if back:
                inject = partial(_code_back_and_forth, address, point, room)
            yield Fault("code edited in mid-run", name, inject, engine=engine, changes=before)


def _code_back_and_forth(address: str, point: str, room: str, trial: Trial) -> None:
    module = trial.path(PACKAGE) / room / "__init__.py"
    content = module.read_bytes()
    _back_and_forth(address, point, edit_code(room), lambda _: module.write_bytes(content), trial)


def _harmless() -> Iterator[Fault]:
    """Edits that concern no stage that runs or has run: the run must not stop over them."""
    remark = ("a comment in params.yaml", append("params.yaml", "# a remark"))
    note = append("notes.txt", "to do: everything")
    kind = "edits that concern no running stage"
    for engine in EITHER:
        for address, point, name, edit in (
            ("head", "half", "a parameter of a later stage only", set_to(REPORT)),
            ("report", "half", *remark),
            ("report", "after", *remark),
            ("head", "after", "code of a later stage only", edit_code("report")),
            ("report", "half", "code of no stage", edit_code("tools")),
            ("report", "before", "a file beside the project's", note),
        ):
            name = f"{name}, while {address} of {engine} is at {point}"
            inject = partial(_calm, address, point, edit)
            yield Fault(kind, name, inject, engine=engine, changes=EDITS[address][0])


def _calm(address: str, point: str, edit: Action, trial: Trial) -> None:
    with trial.held(None, address, point) as run:
        edit(trial)
    if trial.end(run):
        raise Wrong("false alarm: the run fails over an edit that concerns nothing that it runs")


def _git() -> Iterator[Fault]:
    names = {"git checkout params.yaml": "checkout params.yaml", "git stash": "stash"}
    names |= {"git checkout of a branch": "checkout other"}
    for address, point, name in product(("report", "head"), ("start", "after"), names):
        engine = "snakemake" if (address, point) == ("report", "after") else "dvc"
        inject = partial(_git_during, address, point, names[name])
        name = f"{name} while {address} of {engine} is at {point}"
        yield Fault("git in mid-run", name, inject, engine=engine, changes=EDITS[address][0])


def _git_during(address: str, point: str, command: str, trial: Trial) -> None:
    if "other" in command:
        # Two branches: one with the parameters that the run starts with, one with others.
        before = trial.made.values()
        trial.branch("other")
        trial.edit(EDITS[address][1])
        trial.edit_code(EDITS[address][2])
        trial.made.commit()
        trial.git("checkout", "--quiet", "main")
        trial.edit(EDITS[address][0])
        trial.made.commit()
        assert trial.made.values() == before

    def act(trial: Trial) -> None:
        trial.git(*command.split())
        trial.learn()

    meanwhile(act, address, point, trial)


def _between() -> Iterator[Fault]:
    """Edits of what an earlier stage of the same run was made with."""
    rate, tuning = set_to({"head.learning_rate": 0.006}), set_to({"finetune.learning_rate": 0.0002})
    for engine in EITHER:
        for address, name, edit in (
            ("finetune", "parameters of head", rate),
            ("evaluate@head", "parameters of head", rate),
            ("report", "parameters of finetune", tuning),
            ("report", "code of evaluate", edit_code("evaluation")),
            ("finetune", "code of head", edit_code("head")),
        ):
            name = f"{name}, as {address} of {engine} starts"
            inject = partial(meanwhile, edit, address, "start")
            yield Fault("edits between two stages", name, inject, engine=engine, changes=HEAD)


def _gap() -> Iterator[Fault]:
    """Edits after the end of a stage, before DVC has hashed anything."""
    kind = "edits before DVC has recorded"
    read, written = "reports/head/metrics.json", "reports/index.html"
    for engine, address in product(EITHER, ("report", "head")):
        before, after, room = EDITS[address]
        cases = {"parameters": set_to(after), "code": edit_code(room)}
        if address == "report":
            cases["its input"] = append(read, "changed by hand")
            cases["its output"] = append(written, "changed by hand")
        for name, edit in cases.items():
            name = f"{name} edited while {engine} has not seen the end of {address}"
            inject = partial(meanwhile, edit, address, GAP)
            yield Fault(kind, name, inject, engine=engine, changes=before)
    for seed in range(10):
        name = "parameters edited as the outputs of report appear"
        yield Fault(kind, name, _as_renamed, seed, EITHER[seed % 2], changes=REPORT)


def _as_renamed(trial: Trial) -> None:
    run = trial.start()
    await_renamed(trial, run, "report")
    time.sleep(trial.random.choice((0.0, trial.random.uniform(0, 0.05), trial.random.random())))
    trial.edit(EDITS["report"][1])
    trial.end(run)


def _at_random() -> Iterator[Fault]:
    for seed in range(12):
        engine, extent = EITHER[seed % 2], "report" if seed % 4 else "head"
        name = f"edited at a random moment of {engine}, building {extent}"
        kind, inject = "parameters edited in mid-run", partial(_moment, extent)
        yield Fault(kind, name, inject, seed, engine, changes=EDITS[extent][0])


def _moment(extent: str, trial: Trial) -> None:
    run = trial.start()
    time.sleep(trial.random.uniform(0.1, LONG[trial.engine, extent]))
    trial.edit(EDITS[extent][1])
    trial.end(run)
