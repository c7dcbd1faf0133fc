"""Compare two settings: what differs, and whether that exceeds the noise."""

import argparse
import json
from collections.abc import Iterator, Mapping
from statistics import mean, stdev
from typing import Any

from graft.project.parameters import list_changes, show_value
from graft.tools import significance
from graft.tools.revisions import ModelResults, Setting, check_repository, read_setting

# Each model in words, with the parameter that says how often it is trained.
_MODELS = {"head": ("Head", "head.repeats"), "finetuned": ("Fine-tuned model", "finetune.repeats")}
# The verdict's sentence, by whether the difference exceeds the noise of the test images and that of
# the seeds, which may not be known.
_SENTENCES = {
    (True, None): "the difference exceeds the noise of the test images.",
    (False, None): "the difference does not exceed the noise of the test images.",
    (True, True): "the difference exceeds the noise of the test images and of the seeds.",
    (True, False): "the difference exceeds the noise of the test images, not that of the seeds.",
    (False, True): "the difference exceeds the noise of the seeds, not that of the test images.",
    (False, False): "the difference exceeds neither the noise of the test images nor of the seeds.",
}


def main(arguments: list[str]) -> None:
    """`graft compare [OLD [NEW]]`: prints what differs between two settings and their results.

    Raises:
        UserError: the folder is in no git repository, a revision is unknown, or results are
            missing or broken.
    """
    parser = argparse.ArgumentParser(prog="graft compare", description=__doc__)
    parser.add_argument("old", nargs="?", default="HEAD", help="a git revision; HEAD without it")
    parser.add_argument("new", nargs="?", help="a git revision; the work tree without it")
    parser.add_argument("--json", action="store_true", help="for programs: fractions, not points")
    options = parser.parse_args(arguments)
    check_repository()
    found = compare_settings(read_setting(options.old), read_setting(options.new))
    text = "\n".join(describe_comparison(found))
    print(json.dumps(found, indent=1, default=str) if options.json else text)


def compare_settings(old: Setting, new: Setting) -> dict[str, Any]:
    """The whole comparison, as `--json` prints it.

    Returns:
        `old` and `new`: name, title and the outdated parameters of each side. `parameters`: those
        that differ, from `list_changes`. `models`: for `head` and `finetuned` the accuracy on both
        sides, 0–1, `images` from `compare_images`, `seeds` from `compare_seeds`, and the verdict
        with its sentence.
    """
    sides = {
        key: {"name": side.name, "title": side.title, "outdated": side.outdated}
        for key, side in (("old", old), ("new", new))
    }
    models = {model: _compare_models(old.models[model], new.models[model]) for model in _MODELS}
    changes = list_changes(old.parameters, new.parameters)
    return sides | {"parameters": changes, "models": models}


def _compare_models(old: ModelResults, new: ModelResults) -> dict[str, Any]:
    images, seeds = compare_images(old, new), compare_seeds(old, new)
    word, sentence = verdict(images, seeds)
    found = {"accuracy": (old.accuracy, new.accuracy), "images": images, "seeds": seeds}
    return found | {"verdict": word, "sentence": sentence}


def compare_images(old: ModelResults, new: ModelResults) -> dict[str, Any]:
    """Compares two models by their predictions.

    Returns:
        `paired`: whether both were tested on the same images with the same labels. `n`: test images
        of the old and of the new model. `lost` and `won`: images that only the old one, or only the
        new one, classifies right, and `p` of the exact McNemar test; all None unless paired. Then
        as `compare_seeds`, of the accuracies.
    """
    before, after = old.right.sort_index(), new.right.sort_index()
    n = len(before), len(after)
    difference = float(after.mean() - before.mean())
    paired = before.index.is_unique and before.index.equals(after.index)
    lost = won = p = None
    if paired:
        lost, won = int((before & ~after).sum()), int((after & ~before).sum())
        p = significance.mcnemar_test(lost, won)
        interval = significance.paired_interval(lost, won, n[0])
    else:
        interval = significance.independent_interval((int(before.sum()), int(after.sum())), n)
    found = {"paired": paired, "n": n, "lost": lost, "won": won, "p": p}
    return found | _difference(difference, interval, p)


def compare_seeds(old: ModelResults, new: ModelResults) -> dict[str, Any] | None:
    """Compares two settings by their repeats.

    Returns:
        None where one side has a single seed. `n`: seeds of the old and of the new setting. `mean`
        and `spread` of the accuracies of each. `difference`: of the means, new less old. `low` and
        `high`: the ends of its 95 % interval. `beyond`: whether the difference exceeds what chance
        does.
    """
    sides = old.seeds, new.seeds
    if min(map(len, sides)) < 2:
        return None
    means = mean(old.seeds), mean(new.seeds)
    found = {"n": tuple(map(len, sides)), "mean": means, "spread": tuple(map(stdev, sides))}
    return found | _difference(means[1] - means[0], significance.welch_interval(*sides))


def _difference(value: float, ends: tuple[float, float], p: float | None = None) -> dict[str, Any]:
    low, high = ends
    beyond = not low <= 0 <= high if p is None else p < significance.LEVEL
    return {"difference": value, "low": low, "high": high, "beyond": beyond}


def verdict(images: Mapping[str, Any], seeds: Mapping[str, Any] | None) -> tuple[str, str]:
    """What follows for one model.

    A difference counts where it exceeds the noise of the test images and, if that is known, the
    noise of the seeds, both in the same direction.

    Args:
        images: from `compare_images`.
        seeds: from `compare_seeds`.

    Returns:
        `better`, `worse`, `same` or `unclear`, and a sentence in plain words.
    """
    if images["lost"] == images["won"] == 0 and not (seeds and seeds["difference"]):
        return "same", "The same: every test image is right in both, or wrong in both."
    beyond = images["beyond"], seeds and seeds["beyond"]
    if False in beyond:
        return "unclear", f"Not clear: {_SENTENCES[beyond]}"
    if seeds and images["difference"] * seeds["difference"] < 0:
        return "unclear", "Not clear: the first seed says the opposite of the mean of all."
    word = "better" if images["difference"] > 0 else "worse"
    return word, f"{word.capitalize()}: {_SENTENCES[beyond]}"


def describe_comparison(found: Mapping[str, Any]) -> Iterator[str]:
    """A comparison for people, line by line; differences in percentage points.

    Args:
        found: from `compare_settings`.
    """
    sides = {key: found[key] for key in ("old", "new")}
    width = max(len(side["name"]) for side in sides.values())
    for key, side in sides.items():
        yield f"{key}  {side['name']:<{width}}  {side['title']}".rstrip()
    for side in sides.values():
        if side["outdated"]:
            yield (
                f"\nThe results of {side['name']} were made with other parameters than its"
                f" params.yaml has:\n  {', '.join(side['outdated'])}\n  Run the pipeline first."
            )
    rows = [
        (key, *(show_value(own.get(side, "–")) for side in sides))
        for key, own in found["parameters"].items()
    ]
    yield f"\nParameters{'' if rows else ': none differs'}"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for key, before, after in rows:
        yield f"  {key:<{widths[0]}}  {before:<{widths[1]}} → {after}"
    for model, (name, repeats) in _MODELS.items():
        own = found["models"][model]
        before, after = own["accuracy"]
        change = f"{_percent(before)} → {_percent(after)}, {_points(after - before)} points"
        yield f"\n{name}"
        yield f"  accuracy     {change}"
        yield from _describe_images(own["images"])
        yield from _describe_seeds(own["seeds"], repeats)
        yield f"  verdict      {own['sentence']}"


def _describe_images(images: Mapping[str, Any]) -> Iterator[str]:
    yield f"  test images  {_interval(images)}"
    old, new = images["n"]
    text = f"other images or labels, {old:,} and {new:,}: taken as independent (Newcombe)"
    if images["paired"]:
        p = "p < 0.001" if images["p"] < 0.001 else f"p = {images['p']:.2g}"
        counts = f"{images['lost']:,} only right before, {images['won']:,} only now"
        text = f"the same {old:,}: {counts}; exact McNemar test, {p}"
    yield f"               {text}"


def _describe_seeds(seeds: Mapping[str, Any] | None, key: str) -> Iterator[str]:
    if seeds is None:
        yield f"  seeds        not known: {key}: 5 on both sides would tell"
        return
    yield f"  seeds        {_interval(seeds)}"
    old, new = (
        f"of {n}: {100 * mean:.2f} ± {100 * spread:.2f} %"
        for mean, spread, n in zip(seeds["mean"], seeds["spread"], seeds["n"], strict=True)
    )
    yield f"               mean ± standard deviation {old} → {new}; Welch’s t"


def _interval(found: Mapping[str, Any]) -> str:
    ends = f"{_points(found['low'])} to {_points(found['high'])}"
    return f"{_points(found['difference'])} points, 95 % interval {ends}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _points(value: float) -> str:
    text = f"{100 * value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
