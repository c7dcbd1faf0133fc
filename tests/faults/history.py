"""What people do with git and DVC between builds: branches, merges, worktrees, push and pull."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from faults.moments import REPORT, Action, cached_outputs, stored
from faults.trial import EITHER, Fault, Missed, Trial, Wrong
from faults.truth import differences
from project import UP_TO_DATE

KIND = "branches, merges and remotes"


def faults() -> Iterator[Fault]:
    """All of them."""
    first = "the environment of the first"
    cases: list[tuple[str, Action]] = [
        ("a branch and back", _branch_and_back),
        ("a branch and back with dvc checkout", partial(_branch_and_back, checkout=True)),
        ("a branch with other code", _branch_of_code),
        ("git stash and pop around a build", _stash),
        ("a merge with a conflict in dvc.lock", _conflict),
        ("a merge with a conflict, parameters resolved", partial(_conflict, resolved=True)),
        ("dvc gc -w -f", _collect),
        ("dvc gc -w -f, then earlier parameters", partial(_collect, back=True)),
        ("dvc checkout over a damaged cache", _damaged_checkout),
        ("a clone that pulls", _clone),
        ("a clone that pulls the run cache too", partial(_clone, run_cache=True)),
        ("a clone that pulls a damaged remote", partial(_clone, damaged=True)),
        ("a clone without a remote", _empty_clone),
        (f"a worktree with {first}", _worktree),
        (f"a worktree with other code and {first}", partial(_worktree, code=True)),
        ("git clean of everything ignored", lambda trial: trial.git("clean", "-fdxq")),
        ("git reset --hard to the first commit", _reset),
    ]
    for turn, (name, inject) in enumerate(cases):
        # Where all stages are stale, a plain run of Snakemake takes half a minute.
        long = any(word in name for word in ("worktree", "without", "clean"))
        both = "conflict" in name or "damaged" in name
        for cure in ["dvc"] if long else EITHER if both else [EITHER[turn % 2]]:
            yield Fault(KIND, f"{name}, then {cure}", inject, cure=cure)
    for seed in range(6):
        yield Fault(KIND, "a random walk over branches, edits and builds", _walk, seed)


def _branch(trial: Trial, name: str, changes: dict[str, object]) -> None:
    """A branch that is built and committed; the project is on it afterwards."""
    trial.branch(name)
    trial.edit(changes)
    trial.build()
    trial.made.commit()


def _branch_and_back(trial: Trial, checkout: bool = False) -> None:
    _branch(trial, "other", REPORT)
    for name in ("main", "other", "main"):
        trial.git("checkout", "--quiet", name)
        if checkout:
            trial.call("dvc", "checkout")


def _branch_of_code(trial: Trial) -> None:
    trial.branch("other")
    trial.edit_code("report")
    trial.build()
    trial.made.commit()
    trial.git("checkout", "--quiet", "main")


def _stash(trial: Trial) -> None:
    trial.edit(REPORT)
    trial.build()
    trial.git("stash")
    trial.learn()
    trial.build()
    trial.made.run("git", "stash", "pop", status=None)


def _conflict(trial: Trial, resolved: bool = False) -> None:
    _branch(trial, "other", REPORT)
    trial.git("checkout", "--quiet", "main")
    trial.edit({"report.smoothing": 0.45} if resolved else {"head.learning_rate": 0.02})
    trial.build()
    trial.made.commit()
    if "CONFLICT" not in trial.made.run("git", "merge", "other", status=None):
        raise Missed("there was no conflict")
    if resolved:
        # The parameters are put right by hand; dvc.lock is left to what the message says.
        trial.git("checkout", "--theirs", "params.yaml")
        trial.git("add", "params.yaml")
    if "<<<<" not in trial.path("dvc.lock").read_text(encoding="utf-8"):
        raise Missed("there was no conflict in dvc.lock")
    for path in trial.path("reports").rglob("*"):
        if path.is_file() and b"<<<<<<<" in path.read_bytes():
            trial.git("checkout", "--theirs", str(path.relative_to(trial.made.folder)))


def _collect(trial: Trial, back: bool = False) -> None:
    trial.edit(REPORT)
    trial.build()
    trial.must("dvc", "gc", "-w", "-f")
    if back:
        trial.checkout("params.yaml")


def _damaged_checkout(trial: Trial) -> None:
    trial.edit(REPORT)
    trial.build()
    trial.checkout("params.yaml", "dvc.lock")
    names = trial.random.sample(cached_outputs(trial), 5)
    expected = trial.base.expect(trial.made.folder)
    _spoil([stored(trial, expected[name]) for name in names], 0o444)  # as DVC leaves it
    trial.call("dvc", "checkout")


def _spoil(paths: list[Path], mode: int) -> None:
    for path in paths:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-2] + b"?\n")
        path.chmod(mode)


def _clone(trial: Trial, run_cache: bool = False, damaged: bool = False) -> None:
    remote = trial.top / "remote"
    trial.must("dvc", "remote", "add", "-d", "there", str(remote))
    trial.made.commit()
    more = ["--run-cache"] if run_cache else []
    trial.must("dvc", "push", *more)
    if damaged:
        found = sorted(path for path in remote.rglob("*") if path.is_file())
        _spoil(trial.random.sample(found, 5), 0o644)
    _move_to_clone(trial)
    trial.call("dvc", "pull", *more)
    if run_cache:
        # Everything is there but dvc.lock's word for it.
        trial.path("dvc.lock").unlink()


def _move_to_clone(trial: Trial) -> None:
    clone = trial.top / "clone"
    trial.git("clone", "--quiet", str(trial.made.folder), str(clone))
    trial.made.folder = clone
    trial.learn()


def _empty_clone(trial: Trial) -> None:
    _move_to_clone(trial)
    trial.call("dvc", "pull")


def _worktree(trial: Trial, code: bool = False) -> None:
    """The environment is installed from the first folder, whose package a worktree imports."""
    first, tree = trial.made.folder, trial.top / "worktree"
    trial.git("worktree", "add", "--quiet", "-b", "other", str(tree))
    trial.made.extra["PYTHONPATH"] = str(first / "workflow")
    trial.made.folder = tree
    trial.learn()
    if code:
        trial.edit_code("head")
    trial.end(trial.start())
    # Refused is right, if the message says how to go on; the plain run will tell.
    wrong = differences(tree, trial.base.expect(tree))
    if wrong and UP_TO_DATE in trial.call("dvc", "status").text:
        raise Wrong("silently wrong: the worktree has results of the first folder's code")


def _reset(trial: Trial) -> None:
    trial.edit_code("report")
    trial.edit(REPORT)
    trial.build()
    trial.made.commit()
    first = trial.git("rev-list", "--max-parents=0", "HEAD").strip()
    trial.git("reset", "--quiet", "--hard", first)
    trial.learn()


def _walk(trial: Trial) -> None:
    steps = random.Random(trial.fault.seed)
    for number in range(4):
        match steps.randrange(4):
            case 0:
                trial.git("stash")
                trial.learn()
            case 1:
                trial.edit({"report.smoothing": steps.choice([0.5, 0.6, 0.7])})
                trial.made.commit()
            case 2:
                trial.edit_code("report")
                trial.branch(f"branch{number}")
                trial.made.commit()
            case _:
                trial.checkout("--force", "main")
        trial.engine = steps.choice(EITHER)
        if steps.random() < 0.5:
            trial.build()
