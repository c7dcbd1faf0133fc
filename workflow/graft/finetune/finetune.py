"""Train the network and its head together, from the trained head (Kumar et al. 2022, LP-FT)."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from graft.common.stage import Stage
from graft.common.tables import read_json, read_table, write_table
from graft.finetune.start import describe_start
from graft.models.description import read_description
from graft.models.joining import JoinedModel
from graft.training.histories import HISTORY_COLUMNS, STEP_COLUMNS
from graft.training.results import write_results


def main(stage: Stage) -> None:
    """Writes the model from pixels 0–255 to class probabilities, and how it was trained.

    Raises:
        UserError: a loss is not finite, or `finetune.cut` asks for what cannot be.
    """
    if not read_json(stage.input("data/depth/unfreeze.json"))["unfreeze"]:
        print("finetune: nothing is trained, the fine-tuned model is the head on the network")
        keep_head(stage)
        return
    from graft.finetune.tail import train_tail  # it imports Keras

    train_tail(stage)


def keep_head(stage: Stage) -> None:
    """Writes the head on the network as the fine-tuned model; what is known of both is the same."""
    known = read_json(stage.input("reports/head/training.json"))
    seeds = read_table(stage.input("reports/head/repeats.csv")).head(stage["finetune.repeats"])
    first = stage["finetune.seed"]
    seeds = seeds.assign(seed=range(first, first + len(seeds)), epochs=0)
    write_table(stage.output("reports/finetuned/steps.csv"), pd.DataFrame(columns=STEP_COLUMNS))
    head = stage.input("data/models/head.keras")
    with _network_of_head(stage) as (network, start):
        model = JoinedModel(network, stage.input("data/backbone/graph.xml"), start, head)
        # All layers of the network are frozen, and none of the head is.
        counts = {"parameters": model.count_parameters()}
        counts |= dict.fromkeys(("unfrozen", "trained"), known["trained"])
        summary = describe_start(counts, known)
        about = replace(
            read_description(head), inputs=model.inputs, temperature=summary["temperature"]
        )
        history = pd.DataFrame(columns=HISTORY_COLUMNS)
        write_results(stage, "finetuned", model, about, history, seeds, summary)


@contextmanager
def _network_of_head(stage: Stage) -> Iterator[tuple[Path, int]]:
    """The network, which ends at the layer whose features the head was trained on, and the first
    column of these."""
    network = stage.input("data/backbone/network.keras")
    depth = read_json(stage.input("data/depth/layer.json"))
    if not depth["start"]:  # the first column is that of the network's own last layer
        yield network, 0
        return
    from graft.models.pooling import truncated  # they import Keras
    from graft.models.saving import load_model, save_model

    with tempfile.TemporaryDirectory() as folder:
        lower = Path(folder, network.name)
        end = (depth[key] for key in ("layer", "pooling", "prefix"))
        save_model(truncated(load_model(network), *end), lower)
        yield lower, depth["start"]
