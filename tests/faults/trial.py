"""One trial: a copy of a built project, a fault, one plain run, and the verdict."""

import random
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from background import Run, await_true
from faults.bases import Base
from faults.truth import Knowledge, differences, false_records, untrue
from graft.project.pipeline import PACKAGE, declarations
from project import FRESH, UP_TO_DATE, Project, reached
from standin import PAUSES

ENGINES = {"snakemake": ("snakemake", "--cores", "2"), "dvc": ("dvc", "repro")}
EITHER = tuple(ENGINES)
MARK = "GRAFT_TEST_TRIAL"  # every process of a trial has it in its environment
LONGEST = 240.0  # seconds that any run may take
PROGRAMS = {"chmod", "chown", "cp", "dvc", "git", "graft", "mkdir", "mv", "rm", "snakemake", "uv"}

SURVIVED, HAND, WRONG = "survived", "needed a hand", "wrong"
# What DVC does by itself, and graft's next start finds; what DVC does not see of its own files.
MOMENT, OF_DVC = "in the moment", "DVC's own files"
# `dvc repro` alone trusts its files without a look: `graft verify --repair` mends these.
MENDED_BY_VERIFY = {
    *("branches, merges and remotes", "damaged dvc.lock", "damaged files of the cache"),
    *("damaged memories of the engines", "damaged outputs", "damaged run cache", "full disk"),
    *("kill at a random moment", "kill while DVC records", "real stages"),
}
REPAIR = ("graft", "verify", "--repair")
SKIPPED, BROKEN = "skipped", "not injected"


class Skip(Exception):
    """The fault cannot be injected on this machine; says why."""


class Missed(Exception):
    """The run never came to the moment at which the fault was meant to hit."""


class Wrong(Exception):
    """What must not happen has happened; says what."""


@dataclass(frozen=True, eq=False)
class Fault:
    """One fault.

    Attributes:
        kind: what it is counted under.
        name: unique; what happens, in words.
        inject: does all of it, up to the plain run.
        seed: of everything that is drawn at random.
        engine: runs while the fault happens.
        cure: the engine of the plain run afterwards.
        real: whether the stages are the real ones.
        changes: parameters that are set before.
    """

    kind: str
    name: str
    inject: Callable[["Trial"], object]
    seed: int = 0
    engine: str = "dvc"
    cure: str = "dvc"
    real: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """How it is listed."""
        return f"{self.kind}: {self.name} ({self.seed})"


@dataclass(frozen=True)
class Outcome:
    """What became of a fault.

    Attributes:
        verdict: `survived`, `in the moment`, `DVC's own files`, `needed a hand`, `wrong`, `skipped`
            or `not injected`.
        detail: why it is not `survived`.
        printed: the last lines of the runs.
        seconds: how long it took.
    """

    verdict: str
    detail: str = ""
    printed: str = ""
    seconds: float = 0.0


class Trial:
    """A project that something happens to.

    Attributes:
        made: the project.
        random: seeded by the fault.
        engine: the name of the engine that runs while the fault happens.
        prefix: a command that runs the engines, such as one that gives up rights.
        ignored: files of the run cache that the fault has damaged.
        before_cleaning: is done before the trial's folder is removed.
    """

    def __init__(self, fault: Fault, base: Base, folder: Path) -> None:
        self.fault, self.base, self.top = fault, base, folder
        self.random = random.Random(f"{fault.name} {fault.seed}")
        self.engine = fault.engine
        self.prefix: tuple[str, ...] = ()
        self.ignored: set[Path] = set()
        self.before_cleaning: list[Callable[[], None]] = []
        self._states: list[dict[str, bytes]] = []
        self._knowledge = Knowledge()
        self._found = False  # a false record, by graft's next start
        self._printed: list[str] = []
        folder.mkdir(parents=True)
        base.copy(folder / "project")
        self.made = Project(folder / "project")
        self.pauses = folder / "pauses"
        self.pauses.mkdir()
        self.made.extra |= {MARK: str(folder), PAUSES: str(self.pauses)}
        self.learn()
        if fault.changes:
            self.edit(fault.changes)

    # What happens to the project

    def learn(self) -> None:
        """Notes the present parameters, code and images: their outputs are right from now on."""
        try:
            expected = self.base.expect(self.made.folder)
        except FileNotFoundError:  # an image goes at this moment
            return
        self._states.append(expected)
        if not self.base.real:
            self._knowledge.learn(self.made.folder, expected)

    def edit(self, changes: Mapping[str, Any]) -> None:
        """Sets parameters."""
        self.made.change(changes)
        self.learn()

    def edit_code(self, room: str) -> None:
        """Appends a comment to the code of a room."""
        self.append(PACKAGE / room / "__init__.py", f"# {self.random.random()}")
        self.learn()

    def append(self, name: str | Path, text: str) -> None:
        """Appends a line to a file, or writes a new one."""
        with self.path(name).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def git(self, *command: str) -> str:
        """Runs git, which must end well."""
        return self.made.run("git", *command)

    def checkout(self, *names: str) -> None:
        """Checks a branch or files out, whose outputs are right from now on."""
        self.git("checkout", "--quiet", *names)
        self.learn()

    def branch(self, name: str) -> None:
        """Makes a branch, and changes to it."""
        self.git("checkout", "--quiet", "-b", name)

    def path(self, name: str | Path) -> Path:
        """A file of the project."""
        return self.made.folder / name

    # Runs

    def start(self, *command: str) -> Run:
        """Starts a command; without one, the engine of the fault, for everything."""
        return self.made.start(*self.prefix, *(command or ENGINES[self.engine]))

    def end(self, *runs: Run, whole: bool = True) -> int:
        """Waits for the end of runs; one that ended well must have told the truth.

        Args:
            runs: any.
            whole: whether they build everything.

        Returns:
            The exit status of the last.
        """
        for run in runs:
            self._wait(run)
        if any(run.status == 0 for run in runs):
            # Of two runs, one that fails may take away outputs of the other.
            said = any("stays stale, by what moved" in run.text for run in runs)
            self._check_ended(whole and all(run.status == 0 for run in runs), said)
        return runs[-1].status or 0

    def call(self, *command: str) -> Run:
        """Runs a command to its end, however it ends."""
        run = self.start(*command)
        self._wait(run)
        return run

    def must(self, *command: str) -> Run:
        """Runs a command that only prepares the fault and must end well."""
        run = self.call(*command)
        if run.status:
            raise Missed(f"`{shlex.join(command)}` failed")
        return run

    def build(self) -> int:
        """Runs the engine of the fault to its end."""
        return self.end(self.start())

    @contextmanager
    def held(self, run: Run | None, address: str, point: str, *command: str) -> Iterator[Run]:
        """A run whose stage waits at a point for as long as the block lasts.

        Args:
            run: is going on; None starts one.
            address, point: as `standin.pause` has them.
            command: to start; the engine for everything by default.

        Raises:
            Missed: the run ended without coming there.
        """
        mark = self.made.hold(address, point)
        run = run or self.start(*command)
        try:
            self.arrive(run, mark)
            yield run
        finally:
            mark.unlink(missing_ok=True)

    def arrive(self, run: Run, mark: Path) -> int:
        """Waits until a stage waits at a point; gives the id of its process."""
        if not run.wait_until(lambda: reached(mark), LONGEST):
            self._note(run)
            raise Missed(f"nothing came to {mark.name}")
        return reached(mark)

    def settle(self) -> None:
        """Lets everything that still runs go on, and waits until nothing of it is left."""
        for mark in self.pauses.iterdir():
            mark.unlink()
        if not await_true(lambda: not self._processes(), 30, 0.1):
            self.kill_all()

    def kill_all(self) -> None:
        """Ends all processes of this trial."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await_true(lambda: not self._processes(), 10, 0.05)

    def _processes(self) -> list[psutil.Process]:
        """The processes of this trial that are still there."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                mine = process.environ().get(MARK) == str(self.top)
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    # The verdict

    def judge(self) -> Outcome:
        """Runs one engine once, helps once if its message says how, and compares everything.

        What DVC has recorded in the moment before its own look, and what it does not see of its own
        files, is counted apart.
        """
        self._look()
        try:
            outcome = self._judge()
        except Wrong as error:
            if self.fault.cure != "dvc" or self.fault.kind not in MENDED_BY_VERIFY:
                raise
            repaired = self.call(*REPAIR)
            if repaired.status:  # it names what a person has to choose
                self.call("bash", "-c", *named_commands(repaired.text))
            self._judge()
            return Outcome(OF_DVC, f"{error}; `{shlex.join(REPAIR)}`")
        found = self._found and outcome.verdict == SURVIVED
        return Outcome(MOMENT, "found by the next start") if found else outcome

    def _look(self) -> None:
        """Starts a command of graft, which looks at what DVC has recorded."""
        left = self.path(".graft/records/left_to_dvc")
        if left.is_dir() and any(left.iterdir()):
            self._found |= "'s record of" in self.call("graft", "use").text

    def _judge(self) -> Outcome:
        cure = ENGINES[self.fault.cure]
        hand = ""
        plain = self.call(*cure)
        if plain.status:
            commands = named_commands(plain.text)
            if len(commands) != 1:
                named = f" and names {', '.join(commands)}" if commands else " and names no command"
                raise Wrong(f"stuck: a plain run fails{named}")
            (hand,) = commands
            self.call("bash", "-c", hand)
            plain = self.call(*cure)
            if plain.status:
                raise Wrong(f"stuck: a plain run fails even after `{hand}`")
        self._check_bytes("a plain run ended well")
        self._check_idle()
        return Outcome(HAND if hand else SURVIVED, f"`{hand}`" if hand else "")

    def _wait(self, run: Run) -> None:
        ended = run.wait(LONGEST) is not None
        self._note(run)
        if not ended:
            raise Wrong(f"stuck: `{shlex.join(run.command)}` did not end in {LONGEST:.0f} s")

    def _check_bytes(self, when: str) -> None:
        differing = differences(self.made.folder, self.base.expect(self.made.folder))
        if differing:
            raise Wrong(f"silently wrong: {when}, but these differ: {_few(differing)}")
        self._check_records(when)

    def _check_records(self, when: str) -> None:
        if not self.base.real:
            false = false_records(self.made.folder, self._knowledge, frozenset(self.ignored))
            if false:
                raise Wrong(f"silently wrong: {when}, but {_few(false)}")

    def _check_idle(self) -> None:
        for command, wanted in (
            (("dvc", "status"), UP_TO_DATE),
            ((*ENGINES["snakemake"], "-n"), FRESH),
        ):
            run = self.call(*command)
            if run.status or wanted not in run.text:
                raise Wrong(f"stuck: after a plain run, `{shlex.join(command)}` is not idle")
        self._check_bytes("both engines are idle")

    def _check_ended(self, whole: bool, said: bool = False) -> None:
        """The truth of a run that ended well while something happened."""
        self._look()
        fresh = self._fresh()
        if fresh is not None and not self.base.real:
            false = untrue(self.made.folder, fresh)
            if false:
                raise Wrong(f"silently wrong: DVC calls these fresh: {_few(false)}")
            self._check_records("the run ended well")
        mixed = all(differences(self.made.folder, made) for made in self._states)
        if whole and mixed and not self._found and not said:
            raise Wrong("silently wrong: the run ended well with outputs of two settings")

    def _fresh(self) -> list[str] | None:
        """The stages that DVC says are up to date; None if it cannot say."""
        run = self.start("dvc", "status", "--json")
        if run.wait(LONGEST) != 0:
            return None
        stale = re.findall(r'"([^"]+)": \[', run.text)
        stages = declarations(self.made.values())
        return [stage.address for stage in stages if stage.address not in stale]

    def _note(self, run: Run) -> None:
        lines = [line for line in run.text.splitlines() if line.strip()]
        self._printed += [f"$ {shlex.join(run.command)} → {run.status}", *lines[-8:]]

    @property
    def printed(self) -> str:
        """The last lines that the runs have printed."""
        return "\n".join(self._printed[-30:]).replace(str(self.top), "…")


def named_commands(text: str) -> list[str]:
    """The commands that a message names, in backquotes, each once."""
    # After each success DVC says this, which mends nothing.
    quoted = re.findall(r"`([^`\n]+)`", text.replace("Use `dvc push` to send your updates", ""))
    return list(dict.fromkeys(q for q in quoted if q.split() and q.split()[0] in PROGRAMS))


def perform(fault: Fault, base: Base, folder: Path) -> Outcome:
    """Performs a trial in a new folder, and removes it."""
    began, trial = time.monotonic(), None
    try:
        trial = Trial(fault, base, folder)
        fault.inject(trial)
        trial.settle()
        outcome = trial.judge()
    except Skip as reason:
        outcome = Outcome(SKIPPED, str(reason))
    except Wrong as error:
        outcome = Outcome(WRONG, str(error))
    except Exception as error:  # of the harness itself: the table says so, and goes on
        outcome = Outcome(BROKEN, f"{type(error).__name__}: {error}".replace(str(folder), "…"))
    finally:
        if trial is not None:
            trial.kill_all()
            for undo in trial.before_cleaning:
                undo()
        shutil.rmtree(folder, ignore_errors=True)
    printed = trial.printed if trial is not None else ""
    return Outcome(outcome.verdict, outcome.detail, printed, time.monotonic() - began)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
