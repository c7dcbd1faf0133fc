"""How well several methods find photos that show none of the classes.

    uv run python -m benchmarks.unknown STRANGERS…

Run it in the folder of a built project. Each of STRANGERS is a folder or an archive of photos that
show none of its classes; 500 of them are taken at most. For head and fine-tuned model there is a
table: the AUROC of the test part against the strangers, and the share of the strangers that pass
at the limit that the validation part gives; the share of the test part that is beyond it; and the
same over 200 other divisions of the two parts by unit: the mean, and the ends that 95 % are within.
It takes a minute for a thousand photos.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from scipy.special import logsumexp, softmax
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from graft.common.arrays import INFERENCE_BATCH, in_batches
from graft.common.numbers import say_percent
from graft.images.decoding import decode_files
from graft.models.inference import run_batches
from graft.parts.rows import Rows, read_parts, read_units
from graft.prediction.answers import stack_batches
from graft.prediction.chosen import OWN_MODELS, ChosenModel, open_model
from graft.prediction.given import open_given
from graft.project.launcher import make_stage
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations
from graft.unknown.neighbours import find_limit, learn_known

UNITS = Path("data/units.csv")
STRANGERS = 500  # photos of a folder at most
NEIGHBOURS = (1, 5, 10, 20)
DIVISIONS = 200


class Seen(NamedTuple):
    """What a model makes of photos: features (n, width) and logits (n, classes)."""

    features: np.ndarray
    logits: np.ndarray


Score = Callable[[Seen], np.ndarray]  # float (n,), the higher the stranger


def main(places: list[str]) -> None:
    """Prints a table in Markdown for each model.

    Args:
        places: of the strangers.
    """
    values = read_parameters()
    stages = declarations(values)
    (measured,) = (stage for stage in stages if stage.address == "evaluate@finetuned")
    parts = read_parts(make_stage(measured, values, {}), "data/tensors")
    valid, test = (read_units(UNITS, parts[name].ids) for name in ("valid", "test"))
    for name in reversed(OWN_MODELS):
        with open_model(name, unknown=True) as model, tempfile.TemporaryDirectory() as folder:
            graphs = [step.graph for step in model.steps]
            graphs[-1] = _with_logits(graphs[-1], Path(folder, "logits.xml"))
            width = model.known.directions.shape[1]
            run = _Runner(model, graphs, width)
            own = {part: run(in_batches(rows)) for part, rows in parts.items()}
            others = {Path(place).name: run(_read(place, model)) for place in places}
        _print_table(name, parts["train"], own, others, (valid, test))


class _Runner(NamedTuple):
    """Runs batches of pixels through a model, as `answer_photos` does."""

    model: ChosenModel
    graphs: list[Path]
    width: int

    def __call__(self, batches: Iterator[np.ndarray]) -> Seen:
        for step, graph in zip(self.model.steps, self.graphs, strict=True):
            batches = map(itemgetter(np.s_[:, step.columns]), run_batches(graph, batches))
        found = np.concatenate(list(batches)).astype(np.float64)
        return Seen(*np.split(found, [self.width], axis=1))


def _with_logits(graph: Path, path: Path) -> Path:
    """The graph of features and probabilities, with logits in place of the latter."""
    model = ov.Core().read_model(graph)
    both = model.get_results()[0].input_value(0).get_node()
    features, probabilities = both.input_values()
    logits = probabilities.get_node().input_value(0)
    changed = ov.Model([ops.concat([features, logits], 1)], model.get_parameters())
    ov.save_model(changed, path, compress_to_fp16=False)
    return path


def _read(place: str, model: ChosenModel) -> Iterator[np.ndarray]:
    """Photos of a place at even steps, in batches."""
    about, found = model.description, list(open_given([place]).files)
    some = islice(found, 0, None, -(-len(found) // STRANGERS))
    look = (about.side, about.fit, about.background, about.white_level)
    results = (result for _, result in decode_files(some, *look))
    pixels = (result.pixels for result in results if not isinstance(result, str))
    return stack_batches(pixels, INFERENCE_BATCH)


def _print_table(
    name: str,
    train: Rows,
    own: dict[str, Seen],
    others: dict[str, Seen],
    units: tuple[np.ndarray, np.ndarray],
) -> None:
    print(f"\n{name}: {len(train)} photos of {len(train.classes)} classes learned\n")
    print("| method | " + " | ".join(others) + " | test beyond | of 200 divisions |")
    print("|---|" + "---|" * (len(others) + 2))
    for method, score in _methods(own["train"], train.labels).items():
        valid, test = score(own["valid"]), score(own["test"])
        limit = find_limit(valid, units[0])
        cells = []
        for strangers in map(score, others.values()):
            truth = np.repeat([0, 1], [len(test), len(strangers)])
            area = roc_auc_score(truth, np.concatenate([test, strangers]))
            cells.append(f"{area:.3f}, {say_percent((strangers <= limit).mean(), 0)}")
        beyond = say_percent((test > limit).mean())
        low, mean, high = map(say_percent, _divide_anew((valid, test), units))
        share = f"{mean} ({low} to {high})"
        print(f"| {method} | " + " | ".join(cells) + f" | {beyond} | {share} |", flush=True)


def _divide_anew(
    scores: tuple[np.ndarray, np.ndarray], units: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float, float]:
    """The share of test photos beyond the limit, if units were in the other of the two parts."""
    score, unit = np.concatenate(scores), np.concatenate(units)
    names, generator = np.unique(unit), np.random.default_rng(1)
    count = len(np.unique(units[0]))
    found = []
    for _ in range(DIVISIONS):
        valid = np.isin(unit, generator.permutation(names)[:count])
        limit = find_limit(score[valid], unit[valid])
        found.append((score[~valid] > limit).mean())
    return *np.quantile(found, [0.025]), float(np.mean(found)), *np.quantile(found, [0.975])


def _methods(learned: Seen, labels: np.ndarray) -> dict[str, Score]:
    """By name, what gives a score for each photo."""
    features = learned.features
    mean, deviation = features.mean(0), features.std(0) + 1e-9
    found: dict[str, Score] = {
        "softmax": lambda seen: -softmax(seen.logits, 1).max(1),
        "largest logit": lambda seen: -seen.logits.max(1),
        "energy": lambda seen: -logsumexp(seen.logits, 1),
        "cosine to class means": _cosine(features, labels),
        "Mahalanobis": _mahalanobis(features, labels),
        "relative Mahalanobis": _relative(features, labels),
        "Mahalanobis of directions": _on(_unit, features, labels, _mahalanobis),
    }
    for k in NEIGHBOURS:
        found[f"neighbour {k}"] = _neighbour(features, labels, k)
    found["neighbour 5, standardised"] = _on(
        lambda rows: (rows - mean) / deviation,
        features,
        labels,
        lambda rows, its: _neighbour(rows, its, 5),
    )
    return found


def _on(
    change: Callable[[np.ndarray], np.ndarray],
    features: np.ndarray,
    labels: np.ndarray,
    make: Callable[[np.ndarray, np.ndarray], Score],
) -> Score:
    """A method on features that are changed before."""
    score = make(change(features), labels)
    return lambda seen: score(seen._replace(features=change(seen.features)))


def _neighbour(features: np.ndarray, labels: np.ndarray, k: int) -> Score:
    """What graft has, with another number of neighbours and of photos (Sun 2022)."""
    known = learn_known(features, labels)._replace(neighbours=k)
    return lambda seen: known.distances_of(seen.features)


def _cosine(features: np.ndarray, labels: np.ndarray) -> Score:
    directions = _unit(features)
    means = _unit(np.stack([directions[labels == c].mean(0) for c in np.unique(labels)]))
    return lambda seen: -(_unit(seen.features) @ means.T).max(1)


def _mahalanobis(features: np.ndarray, labels: np.ndarray) -> Score:
    """The distance to the nearest class by one covariance (Lee 2018), shrunken (Ledoit 2004)."""
    classes, places = np.unique(labels, return_inverse=True)
    means = np.stack([features[labels == c].mean(0) for c in classes])
    covariance, _ = ledoit_wolf(features - means[places], assume_centered=True)
    whiten = np.linalg.cholesky(np.linalg.inv(covariance))
    centres = means @ whiten

    def score(seen: Seen) -> np.ndarray:
        rows = seen.features @ whiten
        return np.min([((rows - centre) ** 2).sum(1) for centre in centres], axis=0)

    return score


def _relative(features: np.ndarray, labels: np.ndarray) -> Score:
    """The same, less the distance to all of them as one class (Ren 2021)."""
    own, whole = _mahalanobis(features, labels), _mahalanobis(features, np.zeros_like(labels))
    return lambda seen: own(seen) - whole(seen)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


if __name__ == "__main__":
    main(sys.argv[1:])
