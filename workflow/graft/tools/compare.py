"""Compare two settings: what differs, and whether that exceeds the noise."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from graft.report.statistics import mean, spread
from graft.tools import revisions, significance
from graft.tools.revisions import ABSENT, ModelResults, Setting

_NAMES = {"head": "Head", "finetuned": "Fine-tuned model"}
_REPEATS = {"head": "head.repeats", "finetuned": "finetune.repeats"}
_LONGEST = 60  # characters of a parameter's value in a line


@dataclass(frozen=True)
class ImageComparison:
    """Two models compared on the test images.

    Attributes:
        paired: whether both were tested on the same images with the same labels.
        n: test images of the old and of the new model.
        lost: images that only the old one classifies right; None unless paired.
        won: images that only the new one classifies right; None unless paired.
        p: of the exact McNemar test; None unless paired.
        difference: of the accuracies, new less old.
        low: the lower end of its 95 % interval.
        high: the upper end.
        beyond: whether the difference exceeds what chance does.
    """

    paired: bool
    n: tuple[int, int]
    lost: int | None
    won: int | None
    p: float | None
    difference: float
    low: float
    high: float
    beyond: bool


@dataclass(frozen=True)
class SeedComparison:
    """Two settings compared by their seeds.

    Attributes:
        n: seeds of the old and of the new setting.
        mean: of the accuracies, of each.
        spread: their standard deviation, of each.
        difference: of the means, new less old.
        low: the lower end of its 95 % interval.
        high: the upper end.
        beyond: whether the difference exceeds what chance does.
    """

    n: tuple[int, int]
    mean: tuple[float, float]
    spread: tuple[float, float]
    difference: float
    low: float
    high: float
    beyond: bool


def main(arguments: list[str]) -> None:
    """`graft compare [OLD [NEW]]`: prints what differs between two settings and their results.

    Raises:
        UserError: here is no git repository, a revision is unknown, or results are missing or
            broken.
    """
    parser = argparse.ArgumentParser(prog="graft compare", description=__doc__)
    parser.add_argument("old", nargs="?", default="HEAD", help="a git revision; HEAD without it")
    parser.add_argument("new", nargs="?", help="a git revision; the work tree without it")
    parser.add_argument("--json", action="store_true", help="for programs: fractions, not points")
    options = parser.parse_args(arguments)
    revisions.check_repository()
    old, new = revisions.read_setting(options.old), revisions.read_setting(options.new)
    print(
        json.dumps(comparison_json(old, new), indent=1)
        if options.json
        else "\n".join(describe_comparison(old, new))
    )


def list_changes(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The parameters that differ, with both values; `ABSENT` where there is none."""
    pairs = ((key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in sorted({*old, *new}))
    return [(key, before, after) for key, before, after in pairs if before != after]


def compare_images(old: ModelResults, new: ModelResults) -> ImageComparison:
    """Compares two models by their predictions."""
    n = len(old.right), len(new.right)
    difference = float(new.right.mean() - old.right.mean())
    unique = old.right.index.is_unique and new.right.index.is_unique
    if unique and set(old.right.index) == set(new.right.index):
        before, after = old.right, new.right.loc[old.right.index]
        lost = int((before.to_numpy() & ~after.to_numpy()).sum())
        won = int((after.to_numpy() & ~before.to_numpy()).sum())
        p = significance.mcnemar_test(lost, won)
        low, high = significance.paired_interval(lost, won, n[0])
        return ImageComparison(True, n, lost, won, p, difference, low, high, p < significance.LEVEL)
    low, high = significance.independent_interval(
        int(old.right.sum()), n[0], int(new.right.sum()), n[1]
    )
    return ImageComparison(False, n, None, None, None, difference, low, high, not low <= 0 <= high)


def compare_seeds(old: ModelResults, new: ModelResults) -> SeedComparison | None:
    """Compares two settings by their repeats; None where one side has a single seed."""
    sides = old.seeds, new.seeds
    if min(map(len, sides)) < 2:
        return None
    means = mean(old.seeds), mean(new.seeds)
    low, high = significance.welch_interval(*sides)
    return SeedComparison(
        n=(len(old.seeds), len(new.seeds)),
        mean=means,
        spread=tuple(spread(side) for side in sides),
        difference=means[1] - means[0],
        low=low,
        high=high,
        beyond=not low <= 0 <= high,
    )


def verdict(images: ImageComparison, seeds: SeedComparison | None) -> tuple[str, str]:
    """What follows for one model.

    A difference counts where it exceeds the noise of the test images and, if that is known, the
    noise of the seeds, both in the same direction.

    Returns:
        `better`, `worse`, `same` or `unclear`, and a sentence in plain words.
    """
    word = "better" if images.difference > 0 else "worse"
    if images.paired and not images.lost and not images.won and not (seeds and seeds.difference):
        return "same", "The same: every test image is right in both, or wrong in both."
    exceeds = "the difference exceeds"
    if seeds is None:
        if images.beyond:
            return word, f"{word.capitalize()}: {exceeds} the noise of the test images."
        return "unclear", "Not clear: the difference does not exceed the noise of the test images."
    if images.beyond != seeds.beyond:
        over, under = ("test images", "seeds") if images.beyond else ("seeds", "test images")
        return "unclear", f"Not clear: {exceeds} the noise of the {over}, not that of the {under}."
    if not images.beyond:
        neither = "neither the noise of the test images nor of the seeds"
        return "unclear", f"Not clear: {exceeds} {neither}."
    if images.difference * seeds.difference < 0:
        return "unclear", "Not clear: the first seed says the opposite of the mean of all."
    return word, f"{word.capitalize()}: {exceeds} the noise of the test images and of the seeds."


def comparison_json(old: Setting, new: Setting) -> dict[str, Any]:
    """The comparison for programs. Accuracies are fractions, as in `metrics.json`."""
    models = {}
    for model in _NAMES:
        before, after = old.models[model], new.models[model]
        images, seeds = compare_images(before, after), compare_seeds(before, after)
        word, sentence = verdict(images, seeds)
        models[model] = {
            "accuracy": [before.accuracy, after.accuracy],
            "images": asdict(images),
            "seeds": seeds and asdict(seeds),
            "verdict": word,
            "sentence": sentence,
        }
    return {
        "old": {"name": old.name, "title": old.title, "outdated": old.outdated},
        "new": {"name": new.name, "title": new.title, "outdated": new.outdated},
        "parameters": {
            key: {
                side: value
                for side, value in (("old", before), ("new", after))
                if value is not ABSENT
            }
            for key, before, after in list_changes(old.parameters, new.parameters)
        },
        "models": models,
    }


def describe_comparison(old: Setting, new: Setting) -> Iterator[str]:
    """The comparison for people, line by line; differences in percentage points."""
    width = max(len(old.name), len(new.name))
    for word, side in (("old", old), ("new", new)):
        yield f"{word}  {side.name:<{width}}  {side.title}".rstrip()
    for side in (old, new):
        if side.outdated:
            yield (
                f"\nThe results of {side.name} were made with other parameters than its params.yaml"
                f" has:\n  {', '.join(side.outdated)}\n  Run the pipeline first."
            )
    differing = list_changes(old.parameters, new.parameters)
    yield f"\nParameters{'' if differing else ': none differs'}"
    key_width = max((len(key) for key, _, _ in differing), default=0)
    values = [(_write(before), _write(after)) for _, before, after in differing]
    old_width = max((len(before) for before, _ in values), default=0)
    for (key, _, _), (before, after) in zip(differing, values, strict=True):
        yield f"  {key:<{key_width}}  {before:<{old_width}} → {after}"
    for model, name in _NAMES.items():
        before, after = old.models[model], new.models[model]
        images, seeds = compare_images(before, after), compare_seeds(before, after)
        yield f"\n{name}"
        yield (
            f"  accuracy     {_percent(before.accuracy)} → {_percent(after.accuracy)},"
            f" {_points(after.accuracy - before.accuracy)} points"
        )
        yield from _describe_images(images)
        yield from _describe_seeds(seeds, _REPEATS[model])
        yield f"  verdict      {verdict(images, seeds)[1]}"


def _describe_images(images: ImageComparison) -> Iterator[str]:
    yield f"  test images  {_interval(images)}"
    if images.paired:
        p = "p < 0.001" if images.p < 0.001 else f"p = {images.p:.2g}"
        yield (
            f"               the same {images.n[0]:,}: {images.lost:,} only right before,"
            f" {images.won:,} only now; exact McNemar test, {p}"
        )
    else:
        yield (
            f"               other images or labels, {images.n[0]:,} and {images.n[1]:,}: taken as"
            " independent (Newcombe)"
        )


def _describe_seeds(seeds: SeedComparison | None, key: str) -> Iterator[str]:
    if seeds is None:
        yield f"  seeds        not known: {key}: 5 on both sides would tell"
        return
    yield f"  seeds        {_interval(seeds)}"
    sides = [
        f"of {n}: {100 * mean:.2f} ± {100 * spread:.2f} %"
        for mean, spread, n in zip(seeds.mean, seeds.spread, seeds.n, strict=True)
    ]
    yield f"               mean ± standard deviation {sides[0]} → {sides[1]}; Welch’s t"


def _interval(found: ImageComparison | SeedComparison) -> str:
    ends = f"{_points(found.low)} to {_points(found.high)}"
    return f"{_points(found.difference)} points, 95 % interval {ends}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _points(value: float) -> str:
    text = f"{100 * value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def _write(value: Any) -> str:
    if value is ABSENT:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
