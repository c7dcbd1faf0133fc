"""Choose the layer whose output is the feature, and how many layers are fine-tuned.

Where the images are like those that the network was pretrained on, its last layers are the best
features; where they are not, earlier ones are (Yosinski et al. 2014, arXiv:1411.1792). How much
further training may go depends on how much there is to learn from. Linear classifiers on the
features of several depths measure both (Alain & Bengio 2016, arXiv:1610.01644).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.audit import choice
from graft.audit.choice import DepthScores
from graft.audit.unfreezing import AUTO, WHERE_UNFREEZE, count_unfrozen
from graft.common.errors import refuse
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import read_json, write_json, write_table
from graft.judging.losses import weigh_images
from graft.linear.folds import INDIVISIBLE, divide_folds, judged_rows, sample_images
from graft.linear.standardising import find_moments, standardise
from graft.parts.rows import read_parts, read_units

_IMAGES = 2000  # at most: enough to tell depths apart, and a minute's work
_SEED = 0  # of the images and folds; a measurement, which no parameter has to vary


def main(stage: Stage) -> None:
    """Writes the chosen layer, the number of trained layers with the reason, and the scores.

    Raises:
        UserError: the network has no such layer or not so many, or there is no way to measure.
    """
    network = read_json(stage.input("data/backbone/depths.json"))
    depths = network["depths"]
    unfreeze, chosen = stage["finetune.unfreeze"], depths[0]
    if unfreeze == AUTO:
        order = sorted(depths, key=lambda depth: depth["layers"])
        scores = score_depths(stage, order)
        feature, frozen = choice.choose_depths(scores)
        chosen = order[feature]
        count = chosen["layers"] - (order[frozen]["layers"] if frozen >= 0 else 0)
        table = choice.tabulate_depths(order, scores, feature, frozen)
        reason = choice.explain_choice([depth["layer"] for depth in order], scores, feature, frozen)
    else:
        count = count_unfrozen(unfreeze, network["layers"])
        table = pd.DataFrame(columns=choice.DEPTH_COLUMNS)
        reason = f"Nothing was measured: params.yaml says finetune.unfreeze: {unfreeze}."
    write_json(stage.output("data/depth/layer.json"), chosen)
    write_json(stage.output("data/depth/unfreeze.json"), {"unfreeze": count, "reason": reason})
    write_table(stage.output("data/depth/scores.csv"), table.round(6))
    print(f"depth: feature {chosen['layer']}, {count} of {chosen['layers']} layers trained")


def score_depths(stage: Stage, depths: Sequence[Mapping[str, Any]]) -> DepthScores:
    """How well a linear classifier on each depth does on training images, learning from others.

    The folds keep together what the split keeps together. The classifier is a logistic regression
    over standardised features, weighted as the head is. Each depth has the C that suits it, chosen
    as for a linear head: narrow layers want less regularisation than wide ones, and with a C that
    suits another, a layer would look as if it knew less. (A ridge classifier
    whose penalty is chosen by leaving one out takes as long. On photos of signs it was right in up
    to 6 % fewer cases, and in 10 % fewer where the layer is about as wide as there are images; on
    photos of things there was no difference.)

    Args:
        stage: with the parameters and files.
        depths: rows of `depths.json`.

    Raises:
        UserError: the images cannot be divided into folds.
    """
    train = read_parts(stage, "data/features")["train"]
    chosen = sample_images(train.labels, _IMAGES, _SEED)
    labels = train.labels[chosen]
    units = read_units(stage.input("data/units.csv"), [train.ids[n] for n in chosen])
    divided = divide_folds(labels, units, _SEED)
    if not divided:
        raise refuse(WHERE_UNFREEZE, f"something else than auto: {INDIVISIBLE}", AUTO)
    from graft.linear.axes import find_axes
    from graft.linear.linear import LinearRule, cross_validate

    rule, found = LinearRule("logistic", len(train.classes), stage["head.class_weight"]), []
    with Progress("depth", len(depths), "depths") as progress:
        for depth in depths:
            columns = slice(depth["start"], depth["start"] + depth["width"])
            features = train.of_columns(columns)[chosen]
            features = standardise(features, *find_moments(features))
            found.append(cross_validate(rule, features, find_axes(features), labels, divided))
            progress.advance()
    judged = judged_rows(divided)
    return DepthScores(
        losses=np.stack([scores.losses for scores in found]),
        right=np.stack([scores.right for scores in found]),
        units=units[judged],
        weights=weigh_images(labels[judged], rule.class_weight),
    )
