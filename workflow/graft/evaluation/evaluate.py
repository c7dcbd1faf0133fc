"""Measure a model on the test part."""

import numpy as np
import pandas as pd

from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.common.tables import write_json, write_table
from graft.judging.measures import measure
from graft.models.inference import run_graph
from graft.training.rows import read_features, read_parts


def main(stage: Stage) -> None:
    """Writes `metrics.json`, and `predictions.csv`: path, label, predicted, confidence."""
    model = stage.key
    parts = read_features(stage) if model == "head" else read_parts(stage, "data/tensors")
    test, outputs = parts["test"], []
    with Progress(f"evaluate {model}", len(test), "images") as progress:
        for output in run_graph(stage.input(f"data/models/{model}.xml"), test):
            outputs.append(output)
            progress.advance(len(output))
    probabilities = np.concatenate(outputs)
    metrics = measure(probabilities, test.labels)
    predictions = pd.DataFrame(
        {
            "path": test.paths,
            "label": [test.classes[label] for label in test.labels],
            "predicted": [test.classes[label] for label in probabilities.argmax(1)],
            "confidence": probabilities.max(1).astype(float).round(6),
        }
    )
    write_json(stage.output(f"reports/{model}/metrics.json"), metrics)
    write_table(stage.output(f"reports/{model}/predictions.csv"), predictions)
    interval = f"{metrics['accuracy_low']:.4f}–{metrics['accuracy_high']:.4f}"
    print(f"evaluate {model}: accuracy {metrics['accuracy']:.4f} ({interval}), n {metrics['n']}")
