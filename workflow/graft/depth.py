"""Choose the layer whose output is the feature, and how many layers are fine-tuned.

Where the images are like those that the network was pretrained on, its last layers are the best
features; where they are not, earlier ones are (Yosinski et al. 2014, arXiv:1411.1792). How far one
may go on from there depends on how much there is to learn from. Both are measured here: by how well
linear classifiers do on the features of several depths (Alain & Bengio 2016, arXiv:1610.01644).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft import folds, networks, pretrained, tables
from graft.atomic import whole
from graft.errors import refuse
from graft.moments import moments, standardise
from graft.parameters import ALL, AUTO, NONE
from graft.progress import Progress
from graft.rows import rows
from graft.stage import Stage

COLUMNS = ["layer", "layers", "width", "accuracy", "standard_error", "role"]
FEATURE, FROZEN = "feature", "frozen up to here"
WHERE = "params.yaml: finetune.unfreeze"
IMAGES = 2000  # at most: enough to tell depths apart by a percent, and half a minute's work
WORSE = 2.0  # standard errors
# C of a logistic regression, of which each depth takes the one that suits it: narrow layers want
# less regularisation than wide ones.
GRID = (0.01, 0.1, 1.0)
SEED = 0  # of the images and folds; a measurement, which no parameter has to vary


def main(arguments: list[str]) -> None:
    """Writes the chosen layer, the number of trained layers with the reason, and the scores.

    Raises:
        UserError: the network has no such layer or not so many, or there is no way to measure.
    """
    stage = Stage("depth", arguments)
    depths = json.loads(stage.input("backbone_depths_json").read_text(encoding="utf-8"))
    unfreeze, chosen = stage["finetune.unfreeze"], depths[0]
    if unfreeze == AUTO:
        order = sorted(depths, key=lambda depth: depth["layers"])
        right, units = measure(stage, order)
        feature, frozen = choose(right, units)
        chosen = order[feature]
        count = chosen["layers"] - (order[frozen]["layers"] if frozen >= 0 else 0)
        table = describe(order, right, units, feature, frozen)
        reason = explain(table, feature, frozen, right.shape[1])
    else:
        names = pretrained.layers_of(stage.input("backbone_network_keras"), pretrained.NESTED[1:])
        count = resolve(unfreeze, names)
        table = pd.DataFrame(columns=COLUMNS)
        reason = f"Nothing was measured: params.yaml says finetune.unfreeze: {unfreeze}."
    answers = {
        stage.output("depth_layer_json"): chosen,
        stage.output("depth_unfreeze_json"): {"unfreeze": count, "reason": reason},
    }
    with whole(*answers, stage.output("depth_scores_csv")) as (*parts, scores):
        for part, answer in zip(parts, answers.values(), strict=True):
            text = json.dumps(answer, indent=1, ensure_ascii=False) + "\n"
            part.write_text(text, encoding="utf-8")
        tables.save(scores, table.round(6))
    print(f"depth: feature {chosen['layer']}, {count} of {chosen['layers']} layers trained")


def resolve(unfreeze: int | float | str, layers: Sequence[str]) -> int:
    """How many layers from the top `finetune.unfreeze` means, other than by `auto`.

    Args:
        unfreeze: a number of layers, a fraction of them, `none`, `all`, a layer or a block. A
            fraction is at least one layer.
        layers: the names of the network's layers, input first. Where the feature is taken inside
            a branch, these are fewer than those that come before it in the whole network.

    Raises:
        UserError: the network has no such layer or not so many.
    """
    count = len(layers)
    if unfreeze in (NONE, ALL):
        return 0 if unfreeze == NONE else count
    if isinstance(unfreeze, float):
        return max(1, round(unfreeze * count))
    if isinstance(unfreeze, int):
        if unfreeze > count:
            allowed = f"none, all, auto, or at most {count} layers, which lead to {layers[-1]}"
            raise refuse(WHERE, allowed, unfreeze)
        return unfreeze
    first = networks.matching(layers, unfreeze)
    if first is None:
        allowed = f"none, all, auto, a number, or a layer that leads to {layers[-1]}"
        raise refuse(WHERE, f"{allowed} ({', '.join(layers[1:])})", unfreeze)
    return count - first


def measure(stage: Stage, depths: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Which training images a linear classifier gets right that has learned from others.

    The folds keep together what the split keeps together. The classifier is a logistic regression
    over standardised features. (A ridge classifier whose penalty is chosen by leaving one out takes
    as long. On photos of signs it was right in up to 6 % fewer cases, and in 10 % fewer where the
    layer is about as wide as there are images; on photos of things there was no difference.)

    Args:
        stage: with the parameters and files.
        depths: rows of `depths.json`.

    Returns:
        bool (depths, n), and the unit of each image, int64 (n,).

    Raises:
        UserError: the images cannot be divided into folds.
    """
    files = stage.inputs("tensors_csv"), stage.inputs("features_npy")
    train = rows("train", stage.input("split_csv"), *files, stage["dataset.classes"])
    chosen = folds.sample(train.labels, IMAGES, SEED)
    labels = train.labels[chosen]
    units = folds.units(stage.input("units_csv"), [train.ids[number] for number in chosen])
    divided = folds.divide(labels, units, SEED)
    if not divided:
        allowed = "something else than auto: there is no way to divide the training part that keeps"
        allowed += " together what belongs together and has two classes on both sides"
        raise refuse(WHERE, allowed, AUTO)
    from graft import linear

    found = []
    with Progress("depth", len(depths), "depths") as progress:
        for depth in depths:
            columns = slice(depth["start"], depth["start"] + depth["width"])
            features = train.of_columns(columns)[chosen]
            features = standardise(features, *moments(features))
            classes = len(train.classes)
            found.append(linear.score("logistic", features, labels, classes, divided, grid=GRID))
            progress.advance()
    judged = found[0].judged
    return np.stack([score.right[judged] for score in found]), units[judged]


def choose(right: np.ndarray, units: np.ndarray) -> tuple[int, int]:
    """The depth of the feature, and the depth up to which layers stay frozen.

    The feature is the deepest one that does as well as the best, within one standard error of the
    difference: of layers that are equal the later one has more of what was learned before. Below
    it, layers are general as long as what follows them still adds a lot (more than WORSE standard
    errors). The last of these is where features become special, so its own block is trained too:
    frozen are the layers up to the depth before it.

    Args:
        right: bool (depths, n), from the input up, for the same images.
        units: int64 (n,), equal for images that belong together.

    Returns:
        The two places among the depths, the second below the first; it is -1 where nothing is
        frozen.
    """
    best = right[int(right.mean(1).argmax())]
    feature = max(n for n, own in enumerate(right) if not _is_worse(own, best, units, 1.0))
    general = [n for n in range(feature) if _is_worse(right[n], right[feature], units, WORSE)]
    return feature, (max(general) if general else feature) - 1


def _is_worse(one: np.ndarray, other: np.ndarray, units: np.ndarray, errors: float) -> bool:
    """Whether one is right less often than the other, by more than so many standard errors.

    The error is that of the paired difference: both were asked about the same images.
    """
    difference = other.astype(float) - one
    return bool(difference.mean() > errors * standard_error(difference, units))


def standard_error(values: np.ndarray, units: np.ndarray) -> float:
    """The standard error of a mean, where the values of a unit go together.

    A hand that is read wrongly in one photo is often read wrongly in the others, so ten photos of
    it tell less than ten hands. What varies freely is the sum of a unit; where each image is a unit
    of its own, this is the usual error.

    Args:
        values: float or bool (n,).
        units: int (n,), of two units or more.
    """
    _, places = np.unique(units, return_inverse=True)
    sums = np.bincount(places, values - values.mean())
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums @ sums)) / len(values))


def describe(
    depths: Sequence[Mapping[str, Any]],
    right: np.ndarray,
    units: np.ndarray,
    feature: int,
    frozen: int,
) -> pd.DataFrame:
    """What `scores.csv` says: a row a depth, from the input up."""
    roles = {feature: FEATURE, frozen: FROZEN}
    table = pd.DataFrame({name: [depth[name] for depth in depths] for name in COLUMNS[:3]})
    table["accuracy"] = right.mean(1)
    table["standard_error"] = [standard_error(own, units) for own in right]
    table["role"] = [roles.get(number, "") for number in range(len(depths))]
    return table


def explain(table: pd.DataFrame, feature: int, frozen: int, images: int) -> str:
    """The choice in plain words, with its numbers: three sentences."""
    told = [f"{row.layer} ({100 * row.accuracy:.1f} %)" for row in table.itertuples()]
    best, last = int(table["accuracy"].argmax()), len(table) - 1
    if feature == last:
        near = (
            f"No earlier layer beats the last one, {told[last]}, by more than chance: the images"
            " are near to what the network was pretrained on, and the last layer is the feature."
        )
    else:
        near = (
            f"A linear classifier does best on {told[best]} and worse on the last layer,"
            f" {told[last]}: the images are far from what the network was pretrained on, and"
            f" {table['layer'][feature]} is the feature."
        )
    if feature == 0:
        cut = "No earlier layer was measured, so all layers up to it are trained."
    elif frozen < 0:
        cut = "The scores climb from the first layers on, so all layers up to it are trained."
    elif frozen + 1 < feature:
        cut = (
            f"Up to {told[frozen + 1]} the scores still climb by more than chance, so what comes"
            f" after {table['layer'][frozen]} is trained and what comes before stays as it is."
        )
    else:
        cut = (
            f"The depths below it do no worse by more than chance, so only what comes after"
            f" {table['layer'][frozen]} is trained."
        )
    return f"{near} {cut} Measured by cross-validation on {images:,} training images."
