"""One surrounding: a copy of a built project in it, what is run there, and what must come of it."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from background import Run
from faults.bases import Base
from project import FRESH, UP_TO_DATE, Project, reached, runs

NO_EFFECT, REFUSED, RECORDED = "no effect", "refused", "recorded"
WRONG, SKIPPED = "wrong", "skipped"
SNAKEMAKE, DVC = ("snakemake", "--cores", "2"), ("dvc", "repro")
ENGINES = (SNAKEMAKE, DVC)
LONGEST = 240.0  # seconds that any run may take
# What the engines say of stages and of themselves, beside a refusal.
_OF_ENGINES = re.compile(
    r"[\w@]+ +(failed|\d[\d.]* s)\b|Stage '|Running stage|> |Using workflow |$"
)


class Skip(Exception):
    """The surrounding cannot be had on this machine; says why."""


@dataclass(frozen=True, eq=False)
class Surrounding:
    """One of them.

    Attributes:
        kind: what it is listed under.
        name: unique; what it is, in words.
        expected: the verdict.
        look: puts the project into it and checks what becomes of runs.
        real: whether the stages are the real ones.
    """

    kind: str
    name: str
    expected: str
    look: Callable[["Scene"], None]
    real: bool = False


class Scene:
    """A copy of a built project, and a folder around it.

    Attributes:
        made: the project.
        top: the folder, which only this scene has.
    """

    def __init__(self, base: Base, top: Path) -> None:
        self.base, self.top = base, top
        top.mkdir(parents=True)
        base.copy(top / "project")
        self.made = Project(top / "project")
        self._seeds = count(100)

    def path(self, name: str) -> Path:
        """A file of the project."""
        return self.made.folder / name

    def run(self, *command: str, **variables: str) -> Run:
        """Runs a command to its end, with additional variables in its environment."""
        environment = self.made.environment() | variables
        run = Run(command, self.made.folder, environment)
        if run.wait(LONGEST) is None:
            run.kill()
            raise AssertionError(f"`{' '.join(command)}` did not end: {run.text[-2000:]}")
        return run

    def change(self) -> None:
        """Makes the head stale, and what follows from it."""
        self.made.change({"head.seed": next(self._seeds)})

    def builds(self, *command: str, **variables: str) -> str:
        """An engine builds what it should, after a parameter was changed.

        Args:
            command: of the engine.
            variables: in its environment.

        Returns:
            What it printed.
        """
        self.change()
        run = self.run(*command, **variables)
        assert run.status == 0 and "Traceback" not in run.text, run.text
        assert "head" in runs(run.text), run.text
        self.is_right()
        return run.text

    def is_right(self) -> None:
        """All outputs are those of an undisturbed build."""
        assert self.made.outputs() == self.base.expect(self.made.folder)

    def is_idle(self, **variables: str) -> None:
        """Neither engine finds anything to do."""
        for command, wanted in ((("dvc", "status"), UP_TO_DATE), ((*SNAKEMAKE, "-n"), FRESH)):
            run = self.run(*command, **variables)
            assert run.status == 0 and wanted in run.text, run.text

    def both_build(self, **variables: str) -> None:
        """Each engine builds what it should, with these variables in its environment."""
        for engine in ENGINES:
            self.builds(*engine, **variables)

    def refuses(self, *command: str, says: str, **variables: str) -> None:
        """A command ends with one message of three lines at most, and nothing has run or changed.

        Args:
            command: that is refused.
            says: a pattern that the message must have.
            variables: in its environment.
        """
        before = self._contents()
        run = self.run(*command, **variables)
        lines = [line for line in run.text.splitlines() if not _OF_ENGINES.match(line)]
        assert run.status and re.search(says, " ".join(lines)), run.text
        assert len(lines) <= 3 and "Traceback" not in run.text, run.text
        after = self._contents()
        # DVC removes the outputs of a stage, which are in its cache, before it starts the stage.
        gone = before.keys() - after.keys() if command[0] == "dvc" else set()
        assert after == {path: data for path, data in before.items() if path not in gone}, run.text

    def same_bytes(self, stages: Sequence[str], **variables: str) -> None:
        """Real stages, forced to run, make the bytes that they made without these variables."""
        before = self.made.outputs()
        for stage in stages:
            run = self.run("graft", *stage.split(), "--force", **variables)
            assert run.status == 0, run.text
        assert self.made.outputs() == before

    def _contents(self) -> Mapping[str, bytes]:
        kept = self.made.folder.glob("data/**/*"), self.made.folder.glob("reports/**/*")
        lock = self.path("dvc.lock")
        files = [*(path for found in kept for path in found), *([lock] if lock.exists() else [])]
        return {str(path): path.read_bytes() for path in files if path.is_file()}


@contextmanager
def pausing(
    scene: Scene, address: str, *engine: str, fails: str = "", **more: str
) -> Iterator[None]:
    """An engine, one of whose stages waits for as long as the block lasts.

    Args:
        scene: of the project.
        address: of the stage.
        engine: the command.
        fails: a pattern of the message with which the run is to end; without it the run ends well.
        more: variables of its environment.
    """
    mark = scene.made.hold(address)
    run = Run(engine, scene.made.folder, scene.made.environment() | more)
    try:
        assert run.wait_until(lambda: reached(mark), LONGEST) and run.status is None, run.text
        yield
    finally:
        mark.unlink(missing_ok=True)
        mark.with_name(f"{mark.name}.reached").unlink(missing_ok=True)
        ended = run.wait(LONGEST)
    if fails:
        assert ended and re.search(fails, run.text) and "Traceback" not in run.text, run.text
    else:
        assert ended == 0, run.text


def look_at(surrounding: Surrounding, base: Base, top: Path) -> tuple[str, str]:
    """The verdict on a surrounding, and why it is not the expected one."""
    try:
        surrounding.look(Scene(base, top))
    except Skip as reason:
        return SKIPPED, str(reason)
    except AssertionError as error:
        return WRONG, str(error)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return surrounding.expected, ""
