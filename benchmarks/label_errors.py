"""How many labels that may be wrong are wrong: labels are changed, and the list is looked at.

    uv run python -m benchmarks.label_errors [SEEDS]

In a project that has been built, as many labels as a share says are changed to another class at
random, and those that are listed are counted; and so with labels that are changed to the class that
the picture looks most like. Nothing of the project is changed. It takes about a minute for
1,000 pictures.
"""

import sys
from collections.abc import Iterator

import numpy as np

from graft.audit.cross_validation import judge_all
from graft.audit.label_errors import estimate_noise
from graft.common.arrays import Joined
from graft.common.classes import PARTS
from graft.common.stage import Stage
from graft.integrity.ground import flatten
from graft.judging.calibration import as_logits
from graft.parts.rows import read_features, read_units
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations

SHARES = (0.0, 0.01, 0.03, 0.08)


def main(seeds: int) -> None:
    """Prints a table in Markdown, of means over the seeds.

    Args:
        seeds: how many draws of the labels that are changed.
    """
    values = read_parameters()
    (own,) = (stage for stage in declarations(values) if stage.address == "cross_validation")
    stage = Stage("cross_validation", {}, flatten(values), own.inputs, {})
    parts = read_features(stage)
    rows = [parts[name] for name in PARTS]
    units = read_units(stage.input("data/units.csv"), [id_ for part in rows for id_ in part.ids])
    labels = np.concatenate([part.labels for part in rows])
    features, classes = Joined(rows), len(parts["train"].classes)
    judged, probabilities = judge_all(features, labels, units, classes)
    print("| changed to | changed | estimated | listed | of these changed | promised |")
    print("|---|---|---|---|---|---|")
    for kind in ("any class", "the class most alike"):
        for share in SHARES if kind == "any class" else SHARES[1:]:
            found = []
            for seed in range(seeds if share else 1):
                changed = np.random.default_rng(seed).random(len(labels)).argsort()
                changed = changed[: round(share * len(labels))]
                if kind == "any class":
                    others = _draw(labels[changed], classes, seed)
                else:
                    others = _find_alike(judged, probabilities, labels, changed)
                given = labels.copy()
                given[changed] = others
                found.append([*_look(features, given, labels, units, classes)])
            means = np.mean(found, axis=0)
            print(
                f"| {kind} | {share:.0%} | {means[0]:.1%} |"
                + "|".join(f" {mean:.1f} " for mean in means[1:])
                + "|"
            )


def _draw(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    return (labels + np.random.default_rng(seed).integers(1, classes, len(labels))) % classes


def _find_alike(
    judged: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """The other class that each of some images looks most like."""
    alike = np.full((len(labels), probabilities.shape[1]), -1.0)
    alike[judged] = probabilities
    alike[np.arange(len(labels)), labels] = -2.0
    return alike[chosen].argmax(1)


def _look(
    features: Joined, given: np.ndarray, labels: np.ndarray, units: np.ndarray, classes: int
) -> Iterator[float]:
    """The estimated rate, how many are listed, how many of these are wrong, and the promise."""
    judged, probabilities = judge_all(features, given, units, classes)
    noise = estimate_noise(as_logits(probabilities), given[judged])
    likely = noise.find_likely()
    yield noise.rate
    yield likely.sum()
    yield (given != labels)[judged][likely].sum()
    yield noise.wrong[likely].sum()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
