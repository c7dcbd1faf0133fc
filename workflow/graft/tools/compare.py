"""Compare two settings: what differs, and whether that exceeds the noise."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.common.errors import refuse
from graft.common.numbers import say_percent
from graft.integrity.yaml12 import read_yaml_file
from graft.project.parameters import list_changes, show_value
from graft.tools.noise import compare_images, compare_seeds, say_difference
from graft.tools.options import parse_options
from graft.tools.revisions import ModelResults, Setting, check_repository, read_setting

_TEMPLATES = Path(__file__).parent / "templates"
# Whether more is better.
_BETTER = {"accuracy": 1, "log_loss": -1}
_WORDS = read_yaml_file(Path(__file__).with_suffix(".yaml"))


def main(arguments: list[str]) -> None:
    """`graft compare [OLD [NEW …]]`: prints what differs between settings and their results.

    Raises:
        UserError: the folder is in no git repository, a revision is unknown, or results are
            missing or broken.
    """
    options = parse_options("compare", __doc__, arguments)
    check_repository()
    if options.more and not options.html:
        raise refuse("graft compare", "two revisions, or more with --html", options.more[0])
    part = "test" if options.test else "validation"
    names = [options.old, options.new, *options.more]
    first, *others = (read_setting(name, part) for name in names)
    pairs = [(other, compare_settings(first, other)) for other in others]
    found = pairs[0][1]
    if options.html:
        # What draws takes a second to import.
        from graft.tools.showing.comparison import write_comparison

        write_comparison(options.html, first, pairs)
        print(f"The comparison is in {options.html}.")
    elif options.json:
        print(json.dumps(found, indent=1, default=str))
    else:
        print(describe_comparison(found), end="")


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
    for model, words in _WORDS["models"].items():
        before, after = old.models[model], new.models[model]
        # On validation, the loss of the seeds is weighted as their training is.
        if old.part == "validation" and f"{words['section']}.class_weight" in changes:
            before, after = (side._replace(seeds={}) for side in (before, after))
        models[model] = {name: _compare_measure(before, after, name) for name in _BETTER}
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
        return "same", f"The same: {_WORDS['same'][measure]}"
    beyond = images["beyond"], seeds and seeds["beyond"]
    sentence = _WORDS["noise"][beyond[0]][beyond[1]]
    if False in beyond:
        return "unclear", f"Not clear: {sentence}"
    if seeds and images["difference"] * seeds["difference"] < 0:
        return "unclear", "Not clear: the first seed says the opposite of the mean of all."
    word = "better" if images["difference"] * _BETTER[measure] > 0 else "worse"
    return word, f"{word.capitalize()}: {sentence}"


def describe_comparison(found: Mapping[str, Any]) -> str:
    """A comparison for people; differences in percentage points.

    Args:
        found: from `compare_settings`.
    """
    from graft.exporting.texts import open_templates

    environment = open_templates(_TEMPLATES)
    environment.filters |= {"change": say_difference, "percent": say_percent, "value": show_value}
    template = environment.get_template("comparison.txt.j2")
    return template.render(found=found, words=_WORDS)
