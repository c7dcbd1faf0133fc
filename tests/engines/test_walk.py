"""People edit, commit, go back, delete and build with either engine: the files are always right.

A seed determines each random walk. The stages are stand-ins: the tests compute their expected
outputs without an engine.
"""

import random

import pytest

import project
import standin
from graft.integrity.ground import flatten
from graft.project.pipeline import PACKAGE, declarations
from project import FRESH, UP_TO_DATE, Project, runs

CHOICES = {
    "report.smoothing": (0.8, 0.5),
    "finetune.unfreeze": ("all", 4),
    "head.learning_rate": (0.003, 0.02),
}
ROOMS = ("head", "evaluation", "report", "project")


class Walk:
    """One thing after another that people do to a project."""

    def __init__(self, made: Project, seed: int) -> None:
        self.made, self.random = made, random.Random(seed)
        self.commits = [made.run("git", "rev-parse", "HEAD").strip()]

    def edit(self) -> str:
        key = self.random.choice(list(CHOICES))
        now = flatten(self.made.values())[key]
        value = next(value for value in CHOICES[key] if value != now)
        self.made.change({key: value})
        return f"{key} = {value}"

    def edit_code(self) -> str:
        room = self.random.choice(ROOMS)
        with (self.made.folder / PACKAGE / room / "__init__.py").open("a") as file:
            file.write(f"# {self.random.random()}\n")
        return room

    def add_image(self) -> str:
        number = self.random.randrange(14, 99)
        project.add_image(self.made.folder, label=1, number=number)
        return str(number)

    def delete_output(self) -> str:
        stages = declarations(self.made.values())
        path = self.random.choice([path for stage in stages for path in stage.outputs])
        (self.made.folder / path).unlink(missing_ok=True)
        return str(path)

    def commit(self) -> str:
        self.commits.append(self.made.commit())
        return self.commits[-1][:7]

    def checkout(self) -> str:
        name = self.random.choice(self.commits)
        self.made.run("git", "checkout", "--quiet", "--force", name)
        return name[:7]

    def checkout_all(self) -> str:
        name = self.checkout()
        self.made.dvc("checkout", "--force")
        return name

    def snakemake(self) -> str:
        """Builds with Snakemake; DVC must agree that nothing is left to do."""
        printed = self.made.snakemake()
        assert self.made.dvc("status").strip().endswith(UP_TO_DATE)
        return self.checked(printed)

    def repro(self) -> str:
        """Builds with DVC; Snakemake must agree that nothing is left to do."""
        printed = self.made.dvc("repro")
        assert FRESH in self.made.snakemake()
        return self.checked(printed)

    def checked(self, printed: str) -> str:
        expected, outputs = standin.expect(self.made.folder), self.made.outputs()
        assert [p for p, content in expected.items() if content != outputs[p]] == []
        return f"ran {sorted(runs(printed))}"


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_always_arrives_at_the_right_files(standins: Project, seed: int) -> None:
    walk = Walk(standins, seed)
    changes = [walk.edit, walk.edit_code, walk.checkout, walk.checkout_all, walk.delete_output]
    engines = [walk.snakemake, walk.repro]
    walk.random.shuffle(changes)
    walk.random.shuffle(engines)
    if seed % 3 == 0:
        # All stages are stale then: one run of DVC takes a fifth of the time.
        changes.append(walk.add_image)
        engines = [walk.snakemake, walk.repro]
    story = []
    # Several things happen before anyone builds again.
    for step in (walk.edit, walk.commit, *changes[:2], engines[0], *changes[2:], engines[1]):
        story.append(step.__name__)
        try:
            story[-1] += f": {step()}"
        except AssertionError as error:
            raise AssertionError("\n".join([*story, str(error)])) from None
    print("\n".join(story))
