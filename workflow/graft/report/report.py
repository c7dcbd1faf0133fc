"""Draw curves and confusion matrices, and the page that shows what was measured."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from graft.common.cautions import read_warnings
from graft.common.stage import Stage
from graft.common.tables import read_json, read_table, read_tables, write_table
from graft.report.page import render_page
from graft.report.pictures import draw_confusion, draw_curves
from graft.report.reading import MODEL_NAMES, Tested, read_tested
from graft.report.sections.audit import summarise_images
from graft.report.sections.class_table import summarise_classes
from graft.report.sections.doubts import summarise_doubts
from graft.report.sections.headline import summarise_headline
from graft.report.sections.learning import chart_history
from graft.report.sections.matrix import summarise_matrix
from graft.report.sections.mistakes import summarise_mistakes
from graft.report.sections.provenance import summarise_provenance
from graft.report.sections.transfer import summarise_transfer
from graft.report.sections.trust import summarise_trust
from graft.report.thumbnails import open_album
from graft.report.wording import say_sentence
from graft.statistics.reliability import bin_confidences

# Characters of the page that photos may take, in base64: of the test part, and of doubtful labels.
_ROOM, _ROOM_FOR_DOUBTS = 4_500_000, 500_000
_HASHED = ("data/split.csv", "data/models/head.keras", "data/models/finetuned.keras")


def main(stage: Stage) -> None:
    """Writes three pictures and the table `reliability.csv` a model, and `index.html`.

    The table has a row for each tenth of the confidence: from and to; n, images; confidence, the
    mean; right, the share that is; low and high, the ends of the band of chance.
    """
    split = read_table(stage.input("data/split.csv"))
    tested = read_tested(stage, split)
    # Beside the page, whose photos are compressed without Python's lock. Nothing else draws.
    with ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(_draw, stage, tested)
        text = render_page(tested, _summarise(stage, split, tested), stage)
        drawn.result()
    stage.output("reports/index.html").write_text(text, encoding="utf-8", newline="\n")


def _draw(stage: Stage, tested: Tested) -> None:
    for model in tested.all_models:
        best, weight = model.training["best_epoch"], stage["report.smoothing"]
        for name, smoothing in (("curves", None), ("curves_smoothed", weight)):
            path = stage.output(f"reports/{model.key}/{name}.png")
            draw_curves(path, model.history, model.name, best, smoothing)
        path = stage.output(f"reports/{model.key}/confusion.png")
        subtitle = say_sentence("accuracy", found=model.metrics)
        draw_confusion(path, model.counts, tested.classes, model.name, subtitle)
        bins = bin_confidences(model.confidence, model.predicted == tested.labels)
        table = pd.DataFrame(bins).rename(columns={"said": "confidence", "true": "right"}).round(6)
        write_table(stage.output(f"reports/{model.key}/reliability.csv"), table)


def _summarise(stage: Stage, split: pd.DataFrame, tested: Tested) -> dict[str, Any]:
    """What each section shows, in the order of the page, by the name of its template."""
    checked = read_tables(stage.inputs("data/checked"))
    errors = read_table(stage.input("reports/label_errors.csv"))
    measured = read_json(stage.input("reports/cross_validation.json"))
    album, doubtful = (
        open_album(split, checked, stage.inputs("data/tensors"), paths, room)
        for paths, room in ((tested.paths, _ROOM), (errors["path"], _ROOM_FOR_DOUBTS))
    )
    learned = split["label"][split["part"] == "train"].value_counts()
    learned = learned.reindex(tested.classes, fill_value=0).to_numpy()
    weight = stage["report.smoothing"]
    weights = {stage[f"{name}.class_weight"] for name in ("head", "finetune")}
    balanced = weights == {"balanced"}
    labels = summarise_doubts(measured, errors, doubtful)
    leading = measured if labels["leads"] else None
    return {
        "headline": summarise_headline(tested, learned, balanced, leading)
        | {"cautions": read_warnings(stage.input("reports/warnings.json"))},
        "mistakes": summarise_mistakes(tested, album, _read_looks(stage, tested)),
        "confusion": summarise_matrix(tested),
        "classes": summarise_classes(tested),
        "confidence": summarise_trust(tested) | {"strangers": _tell_strangers(stage, tested)},
        "labels": labels,
        "training": _summarise_transfer(stage)
        | {"curves": {model.key: chart_history(model, weight) for model in tested.all_models}},
        "images": _summarise_images(stage, split, checked),
        "provenance": summarise_provenance(
            dict(stage),
            stage.input("workflow/defaults.yaml"),
            stage.input("workflow/recipes"),
            [stage.input(path) for path in _HASHED],
        ),
    }


def _tell_strangers(stage: Stage, tested: Tested) -> dict[str, str]:
    """By model, what it is worth to ask for photos that are none of the classes."""
    return {
        model.key: say_sentence(
            "strangers", found=read_json(stage.input(f"reports/{model.key}/unknown.json"))
        )
        for model in tested.models
    }


def _read_looks(stage: Stage, tested: Tested) -> dict[str, dict[int, np.ndarray]]:
    """Where the models looked: by model and row of the test part, uint8 (height, width)."""
    found = {}
    for model in tested.models:
        # If the head is alone, the fine-tuned model is the head on its network.
        key = "finetuned" if len(tested.models) == 1 else model.key
        with np.load(stage.input(f"data/looks/{key}.npz")) as looks:
            found[model.key] = dict(zip(looks["rows"].tolist(), looks["maps"], strict=True))
    return found


def _summarise_images(stage: Stage, split: pd.DataFrame, checked: pd.DataFrame) -> dict[str, Any]:
    return summarise_images(
        split=split,
        checked=checked,
        parts=read_table(stage.input("data/parts.csv")),
        counts=read_json(stage.input("reports/split.json")),
        pairs=read_table(stage.input("data/duplicates/pairs.csv")),
        pictures=np.load(stage.input("data/duplicates/pairs.npy")),
        large=read_table(stage.input("data/duplicates/large.csv")),
        changed=len(read_table(stage.input("data/duplicates/changed.csv"))),
        chosen=stage["dataset.classes"],
    )


def _summarise_transfer(stage: Stage) -> dict[str, Any]:
    return summarise_transfer(
        scores=read_table(stage.input("data/depth/scores.csv")),
        layer=read_json(stage.input("data/depth/layer.json")),
        unfreeze=read_json(stage.input("data/depth/unfreeze.json")),
        samples=np.load(stage.input("data/views/samples.npy")),
        steps=read_table(stage.input("reports/finetuned/steps.csv")),
        repeats={
            name: read_table(stage.input(f"reports/{key}/repeats.csv"))
            for key, name in MODEL_NAMES.items()
        },
    )
