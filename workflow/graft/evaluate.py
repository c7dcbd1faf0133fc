"""Measure a model on the test part."""

import json

import numpy as np
import pandas as pd

from graft import inference, tables
from graft.atomic import whole
from graft.measures import measures
from graft.progress import Progress
from graft.rows import columns, rows
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes `metrics.json`, and `predictions.csv`: path, label, predicted, confidence."""
    stage = Stage("evaluate", arguments)
    arrays = {"head": "features_npy", "finetuned": "tensors_npy"}[stage.key]
    test = rows(
        "test",
        stage.input("split_csv"),
        stage.inputs("tensors_csv"),
        stage.inputs(arrays),
        stage["dataset.classes"],
    )
    if stage.key == "head":
        test = test.of_columns(columns(stage.input("depth_layer_json")))
    outputs = []
    with Progress(f"evaluate {stage.key}", len(test), "images") as progress:
        for output in inference.run(stage.input("models_xml"), inference.in_batches(test)):
            outputs.append(output)
            progress.advance(len(output))
    probabilities = np.concatenate(outputs)
    metrics = measures(probabilities, test.labels)
    predictions = pd.DataFrame(
        {
            "path": test.paths,
            "label": [test.classes[label] for label in test.labels],
            "predicted": [test.classes[label] for label in probabilities.argmax(1)],
            "confidence": probabilities.max(1).astype(float).round(6),
        }
    )
    with whole(stage.output("metrics_json"), stage.output("predictions_csv")) as (one, other):
        one.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        tables.save(other, predictions)
    interval = f"{metrics['accuracy_low']:.4f}–{metrics['accuracy_high']:.4f}"
    print(
        f"evaluate {stage.key}: accuracy {metrics['accuracy']:.4f} ({interval}), n {metrics['n']}"
    )
