"""What follows from two settings: which parameters differ, and whether results exceed chance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from graft.integrity.yaml12 import read_yaml_file
from graft.project.parameters import list_changes
from graft.revisions.noise import compare_images, compare_seeds
from graft.revisions.settings import ModelResults, Setting

# Whether more is better.
_BETTER = {"accuracy": 1, "log_loss": -1}
VERDICT_WORDS = read_yaml_file(Path(__file__).with_suffix(".yaml"))


def compare_settings(old: Setting, new: Setting) -> dict[str, Any]:
    """The whole comparison, as `--json` prints it.

    Args:
        old, new: of the same part, from `identify_images`.

    Returns:
        `old` and `new`: name, title and the outdated parameters of each side. `part`: by which they
        are judged. `parameters`: those that differ, from `list_changes`. `models`: for `head` and
        `finetuned`, `accuracy` and `log_loss`, each with the `values` of both sides on all their
        images, `images` from `compare_images`, `seeds` from `compare_seeds`, and the verdict with
        its sentence; None for a log loss that is not known. An accuracy also has `classes`, of both
        sides from `summarise_recalls`.
    """
    sides = {
        key: {"name": side.name, "title": side.title, "outdated": side.outdated}
        for key, side in (("old", old), ("new", new))
    }
    changes = list_changes(old.parameters, new.parameters)
    models = {}
    for model, words in VERDICT_WORDS["models"].items():
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
    if measure == "accuracy":
        found["classes"] = [summarise_recalls(side.images) for side in (old, new)]
    return found | {"verdict": word, "sentence": sentence}


def summarise_recalls(images: pd.DataFrame) -> dict[str, Any]:
    """How good a model is on each class, in two numbers.

    Args:
        images: as `ModelResults` has them.

    Returns:
        `balanced_accuracy`, the mean recall of the classes, 0–1. And the weakest class: `label`,
        `recall` and `n`, its images; of equal recalls the class with the most images.
    """
    recalls = images["right"].groupby(level="label").agg(["mean", "size"])
    worst = recalls.sort_values(["mean", "size"], ascending=[True, False], kind="stable").iloc[0]
    return {
        "balanced_accuracy": float(recalls["mean"].mean()),
        "weakest": {
            "label": str(worst.name),
            "recall": float(worst["mean"]),
            "n": int(worst["size"]),
        },
    }


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
        which = "every image" if images["shared"]["complete"] else "every image that both have"
        return "same", f"The same: {which} {VERDICT_WORDS['same'][measure]}"
    beyond = images["beyond"], seeds and seeds["beyond"]
    sentence = VERDICT_WORDS["noise"][beyond[0]][beyond[1]]
    if False in beyond:
        return "unclear", f"Not clear: {sentence}"
    if seeds and images["difference"] * seeds["difference"] < 0:
        return "unclear", "Not clear: the first seed says the opposite of the mean of all."
    word = "better" if images["difference"] * _BETTER[measure] > 0 else "worse"
    return word, f"{word.capitalize()}: {sentence}"
