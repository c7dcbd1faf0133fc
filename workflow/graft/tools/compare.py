"""Compare two settings: what differs, and whether that exceeds the noise."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from graft.common.errors import refuse
from graft.common.numbers import say_percent
from graft.project.parameters import list_changes, show_value
from graft.tools.noise import compare_images, compare_seeds, say_difference
from graft.tools.options import CommandParser
from graft.tools.revisions import MODELS, ModelResults, Setting, check_repository, read_setting

# Each model in words, with the parameter that says how often it is trained.
_NAMES = {"head": ("Head", "head.repeats"), "finetuned": ("Fine-tuned model", "finetune.repeats")}
_MEASURES = {"accuracy": "accuracy", "log_loss": "log loss"}
# Whether more is better.
_BETTER = {"accuracy": 1, "log_loss": -1}
# The verdict's sentence, by whether the difference exceeds the noise of the images and that of the
# seeds, which may not be known.
_SENTENCES = {
    (True, None): "the difference exceeds the noise of the images.",
    (False, None): "the difference does not exceed the noise of the images.",
    (True, True): "the difference exceeds the noise of the images and of the seeds.",
    (True, False): "the difference exceeds the noise of the images, not that of the seeds.",
    (False, True): "the difference exceeds the noise of the seeds, not that of the images.",
    (False, False): "the difference exceeds neither the noise of the images nor of the seeds.",
}
_SAME = {
    "accuracy": "every image is right in both, or wrong in both.",
    "log_loss": "every image has the same loss in both.",
}
# What may keep two sides from being compared image by image, in words.
_OTHERS = {"classes": "other classes", "split": "another split", "images": "other images or labels"}
# The sections of parameters that say what training calls the loss and accuracy on validation.
_SECTIONS = {"head": "head", "finetuned": "finetune"}


def main(arguments: list[str]) -> None:
    """`graft compare [OLD [NEW …]]`: prints what differs between settings and their results.

    Raises:
        UserError: the folder is in no git repository, a revision is unknown, or results are
            missing or broken.
    """
    parser = CommandParser("compare", str(__doc__), "graft compare HEAD~1")
    parser.add_argument("old", nargs="?", default="HEAD", help="a git revision; HEAD without it")
    parser.add_argument("new", nargs="?", help="a git revision; the work tree without it")
    parser.add_argument("more", nargs="*", help="further ones, each compared with OLD; with --html")
    parser.add_argument(
        "--test", action="store_true", help="by the test part; validation without it"
    )
    parser.add_argument("--json", action="store_true", help="for programs: fractions, not points")
    parser.add_argument("--html", metavar="FILE", type=Path, help="a page to write, with photos")
    options = parser.parse_args(arguments)
    check_repository()
    part = "test" if options.test else "validation"
    if options.html:
        # What draws takes a second to import.
        from graft.tools.showing.comparison import write_comparison

        names = [options.old, options.new, *options.more]
        first, *others = (read_setting(name, part) for name in names)
        pairs = [(other, compare_settings(first, other)) for other in others]
        write_comparison(options.html, first, pairs)
        print(f"The comparison is in {options.html}.")
        return
    if options.more:
        raise refuse("graft compare", "two revisions, or more with --html", options.more[0])
    found = compare_settings(read_setting(options.old, part), read_setting(options.new, part))
    text = "\n".join(describe_comparison(found))
    print(json.dumps(found, indent=1, default=str) if options.json else text)


def compare_settings(old: Setting, new: Setting) -> dict[str, Any]:
    """The whole comparison, as `--json` prints it.

    Args:
        old, new: of the same part.

    Returns:
        `old` and `new`: name, title and the outdated parameters of each side. `part`: by which they
        are judged. `parameters`: those that differ, from `list_changes`. `models`: for `head` and
        `finetuned`, `accuracy` and `log_loss`, each with the `values` of both sides, `images` from
        `compare_images`, `seeds` from `compare_seeds`, and the verdict with its sentence; None for
        a log loss that is not known.
    """
    sides = {
        key: {"name": side.name, "title": side.title, "outdated": side.outdated}
        for key, side in (("old", old), ("new", new))
    }
    changes = list_changes(old.parameters, new.parameters)
    models = {}
    for model in MODELS:
        before, after = old.models[model], new.models[model]
        # On validation, the loss of the seeds is weighted as their training is.
        if old.part == "validation" and f"{_SECTIONS[model]}.class_weight" in changes:
            before, after = (side._replace(seeds={}) for side in (before, after))
        models[model] = {name: _compare_measure(before, after, name) for name in _MEASURES}
    return sides | {"part": old.part, "parameters": changes, "models": models}


def _compare_measure(old: ModelResults, new: ModelResults, measure: str) -> dict[str, Any] | None:
    values = getattr(old, measure), getattr(new, measure)
    if None in values:
        return None
    images, seeds = compare_images(old, new, measure), compare_seeds(old, new, measure)
    word, sentence = verdict(images, seeds, measure)
    found = {"values": values, "images": images, "seeds": seeds}
    return found | {"verdict": word, "sentence": sentence}


def verdict(
    images: Mapping[str, Any], seeds: Mapping[str, Any] | None, measure: str
) -> tuple[str, str]:
    """What follows for one model and one measure.

    A difference counts where it exceeds the noise of the images and, if that is known, the noise of
    the seeds, both in the same direction. Other classes are another task, so nothing follows then.

    Args:
        images: from `compare_images`.
        seeds: from `compare_seeds`.
        measure: `accuracy` or `log_loss`.

    Returns:
        `better`, `worse`, `same` or `unclear`, and a sentence in plain words.
    """
    if "classes" in images["others"]:
        return "unclear", "Not clear: the images are of other classes, so the tasks differ."
    if images["same"] and not (seeds and seeds["difference"]):
        return "same", f"The same: {_SAME[measure]}"
    beyond = images["beyond"], seeds and seeds["beyond"]
    if False in beyond:
        return "unclear", f"Not clear: {_SENTENCES[beyond]}"
    if seeds and images["difference"] * seeds["difference"] < 0:
        return "unclear", "Not clear: the first seed says the opposite of the mean of all."
    word = "better" if images["difference"] * _BETTER[measure] > 0 else "worse"
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
    yield f"\nJudged by the {found['part']} part"
    for model, (name, repeats) in _NAMES.items():
        yield f"\n{name}"
        for measure in _MEASURES:
            yield from _describe_measure(found, model, measure, repeats)


def _describe_measure(
    found: Mapping[str, Any], model: str, measure: str, repeats: str
) -> Iterator[str]:
    own = found["models"][model][measure]
    name = f"  {_MEASURES[measure]:<10}"
    if own is None:
        yield f"{name} not known of each image on both sides: build what is older again"
        return
    before, after = own["values"]
    level, change = partial(_level, measure=measure), partial(say_difference, measure=measure)
    yield f"{name} {level(before)} → {level(after)}, {change(after - before)}"
    images, seeds = own["images"], own["seeds"]
    yield f"    images   {_interval(images, change)}"
    yield f"             {_describe_images(images, found['part'], measure)}"
    if seeds:
        yield f"    seeds    {_interval(seeds, change)}"
        old, new = (
            f"of {n}: {level(mean)} ± {level(spread)}"
            for mean, spread, n in zip(seeds["mean"], seeds["spread"], seeds["n"], strict=True)
        )
        yield f"             mean ± standard deviation {old} → {new}; Welch’s t"
    else:
        key = f"{_SECTIONS[model]}.class_weight"
        if found["part"] == "validation" and key in found["parameters"]:
            yield f"    seeds    not compared: {key} changes what training measures"
        else:
            yield f"    seeds    not known: {repeats}: 5 on both sides would tell"
    yield f"    verdict  {own['sentence']}"


def _describe_images(images: Mapping[str, Any], part: str, measure: str) -> str:
    old, new = (
        f"{n:,}" + (" (units not known)" if units is None else f" in {units:,} units")
        for n, units in zip(images["n"], images["units"], strict=True)
    )
    if not images["paired"]:
        kind = " and ".join(_OTHERS[other] for other in images["others"])
        how = " (Newcombe)" if measure == "accuracy" else ""
        return f"{kind}, {old}, and {new}: taken as independent{how}"
    p = "p < 0.001" if images["p"] < 0.001 else f"p = {images['p']:.2g}"
    same = f"the same {old if old == new else f'{old}, or {new}'}"
    if measure == "log_loss":
        return f"{same}; permutation by unit, {p}"
    test = "mid-p McNemar test"
    if any(units not in (None, n) for n, units in zip(images["n"], images["units"], strict=True)):
        test = "permutation by unit"
    counts = f"{images['lost']:,} only right before, {images['won']:,} only now"
    return f"{same}: {counts}; {test}, {p}"


def _interval(found: Mapping[str, Any], change: Callable[[float], str]) -> str:
    low, high = (change(found[end]).removesuffix(" points") for end in ("low", "high"))
    return f"{change(found['difference'])}, 95 % interval {low} to {high}"


def _level(value: float, measure: str) -> str:
    """What was measured: in percent, or in nats for a log loss."""
    return say_percent(value, 2) if measure == "accuracy" else f"{value:.3f}"
