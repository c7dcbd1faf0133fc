"""The stage `report`: its pictures and its page, from small inputs that are written here."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cases import read_cases
from graft.common.classes import in_order
from graft.common.tables import write_json, write_table
from graft.report.confusion import count_confusion, most_confused
from graft.report.lettering import drawable_labels
from graft.report.pictures import draw_confusion, draw_curves, smooth
from graft.report.wording import shorten, text_columns
from images import change, python, run, workspace
from pages import HISTORY_COLUMNS, METRICS, Page
from runs import MODELS, make_run

CASES = read_cases(__file__)
PICTURES = ("curves.png", "curves_smoothed.png", "confusion.png")
HISTORY = [(1, 1.0, 0.5, 1.2, 0.4), (2, 0.7, 0.7, 0.9, 0.6), (3, 0.5, 0.8, 1.0, 0.6)]
HOSTILE = CASES["hostile"]
TRAINED, TUNED = CASES["trained"], CASES["tuned"]
TRAINING = {"head": TRAINED, "finetuned": TRAINED | TUNED}
SEEDS = [(1, 0.9631), (2, 0.9705), (3, 0.9668)]


def put(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    """Writes a table."""
    write_table(path, pd.DataFrame(rows, columns=header.split(",")))


def make(folder: Path, classes: Sequence[str], **histories: Sequence[tuple]) -> None:
    """Everything that the stage reads, with one wrong image, one bad file and one pair a class.

    Args:
        folder: where to write it.
        classes: their names.
        histories: rows of the history of a model, where it is not HISTORY.
    """
    make_run(folder, classes, 4 * len(classes))  # what is not written anew here
    parts = ["train", "train", "valid", "test", "left out: not an image", "left out: two labels"]
    images = [
        (i, f"{name}/{i} {part}", name, part)
        for i, (name, part) in enumerate((name, part) for name in classes for part in parts)
    ]
    put(folder / "data/split.csv", "id,path,label,part", images)
    checked = [
        (i, *(("quarantined", "not an image") if "not an image" in part else ("ok", "")), 9, 9, "")
        for i, _, _, part in images
    ]
    pixels = np.random.default_rng(3).integers(0, 256, (len(images), 32, 32, 3), np.uint8)
    for shard in range(4):
        path = folder / f"data/checked/{shard}.csv"
        put(path, "id,status,reason,width,height,phash", checked[shard::4])
        good = [i for i, status, *_ in checked[shard::4] if status == "ok"]
        np.save(folder / f"data/tensors/{shard}.npy", pixels[good])
    shares = {"train": (2, "0.500000"), "valid": (1, "0.250000"), "test": (1, "0.250000")}
    rows = [(name, part, n, share, n) for name in classes for part, (n, share) in shares.items()]
    put(folder / "data/parts.csv", "label,part,images,share,groups", rows)
    header = "kind,first,first_label,second,second_label,difference"
    rows = [("near", f"{name}/first", name, f"{name}/second", name, "0.125") for name in classes]
    put(folder / "data/duplicates/pairs.csv", header, rows)
    pixels = np.random.default_rng(1).integers(0, 256, (len(classes), 2, 32, 32, 3), np.uint8)
    np.save(folder / "data/duplicates/pairs.npy", pixels)
    counts = {"images": len(images), "groups": 4 * len(classes), "clusters": 7, "duplicates": 20}
    counts |= {f"{what}_in_two_parts": 0 for what in ("ids", "clusters", "groups")}
    write_json(folder / "reports/split.json", counts)
    cautions = [{"text": f"{classes[0]!r} is rare", "command": "graft <mend>"}]
    write_json(folder / "reports/warnings.json", cautions)
    following = [*classes[1:], classes[0]]
    path_of = {name: path for _, path, name, part in images if part == "test"}
    predictions = [
        *((f"{name}/right", name, name, 0.9, 0.9, i) for name in classes for i in range(3)),
        # Only these have a picture; the others are in no table of files.
        *((path_of[a], a, b, 0.5, 0.1, 3) for a, b in zip(classes, following, strict=True)),
    ]
    answered = np.full((4 * len(classes), len(classes)), 0.01, np.float32)
    places = {name: place for place, name in enumerate(in_order(classes))}
    for row, (_, _, predicted, confidence, *_) in enumerate(predictions):
        answered[row, places[predicted]] = confidence
    for model in MODELS:
        reports, history = folder / "reports" / model, histories.get(model, HISTORY)
        # As many rows of the validation part come before those of the test part.
        np.save(folder / f"data/predictions/{model}.npy", np.concatenate([answered, answered]))
        maps = np.zeros((0, 0, 0), np.uint8)
        np.savez(folder / f"data/looks/{model}.npz", rows=np.zeros(0, int), maps=maps)
        put(reports / "history.csv", "epoch,loss,accuracy,val_loss,val_accuracy", history)
        columns = "path,label,predicted,confidence,truth,unit"
        put(reports / "predictions.csv", columns, predictions)
        put(reports / "repeats.csv", "seed,accuracy", SEEDS)
        write_json(reports / "training.json", TRAINING[model] | {"epochs": len(history)})
        write_json(reports / "metrics.json", METRICS)
    put(
        folder / "reports/label_errors.csv",
        "path,part,label,looks_like,confidence,self_confidence,wrong,likely",
        [
            (f"{a}/doubtful", "test", a, b, 0.9, 0.01, 0.9, "yes")
            for a, b in zip(classes, following, strict=True)
        ],
    )
    pixels = np.random.default_rng(2).integers(0, 256, (2, 3, 32, 32, 3), np.uint8)
    np.save(folder / "data/views/samples.npy", pixels)


def outputs(folder: Path) -> dict[str, bytes]:
    """What the stage has written, by path."""
    files = (*PICTURES, "reliability.csv")
    paths = [f"reports/{model}/{name}" for model in MODELS for name in files]
    return {path: (folder / path).read_bytes() for path in [*paths, "reports/index.html"]}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the stage ran without a warning."""
    folder = tmp_path_factory.mktemp("hostile")
    workspace(folder)
    make(folder, HOSTILE)
    with chdir(folder), warnings.catch_warnings(action="error"):
        run("report")
    return folder


@pytest.fixture(scope="module")
def html(hostile: Path) -> str:
    """Its page."""
    return (hostile / "reports/index.html").read_text(encoding="utf-8")


def test_same_inputs_same_bytes(hostile: Path, html: str) -> None:
    before = outputs(hostile)
    # What a user may have set for pictures of their own does not reach the report.
    (hostile / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\n", encoding="utf-8")
    for path in before:
        (hostile / path).unlink()
    subprocess.run(
        [sys.executable, "-W", "error", "-m", "graft", "report"],
        cwd=hostile,
        env=os.environ | {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "Asia/Seoul"},
        check=True,
    )
    assert outputs(hostile) == before


def test_the_page_asks_for_nothing(html: str) -> None:
    page = Page(html)
    assert page.addresses and all(address.startswith("data:") for address in page.addresses)
    assert "url(" not in html and "@import" not in html
    embedded = {address for address in page.addresses if address.startswith("data:image/")}
    # Both pictures of each pair, the changed images, and the photos that were mistaken.
    assert len(embedded) == 2 * len(HOSTILE) + 1 + len(HOSTILE)


def test_only_the_script_of_the_page_may_run(html: str) -> None:
    page = Page(html)
    data, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert f"script-src 'sha256-{digest}';" in policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy
    assert html.count("<script") == 2 and '<script type="application/json"' in html
    assert json.loads(data)["classes"] == list(in_order(HOSTILE))
    assert "<" not in data


def test_class_names_are_text(html: str) -> None:
    page = Page(html)
    assert len(page.scripts) == 2 and not page.handlers
    for name in HOSTILE:
        # In both matrices, twice each, in the tables of classes, as a pair, as a photo.
        # Beside photos a very long name is shortened.
        assert page.texts.count(name) + page.texts.count(shorten(name)) >= 12, name
        assert f"{name}/first" in page.texts


def test_the_page_says_what_was_measured(html: str) -> None:
    text = Page(html).text
    assert [said for said in CASES["says"] if said not in text] == []


def test_nothing_is_half_written(here: Path) -> None:
    make(here, ["a", "b"])
    (here / "reports/finetuned/metrics.json").write_text("{}", encoding="utf-8")
    with pytest.raises(KeyError, match="accuracy_high"):
        run("report")
    left = {path.name for path in (here / "reports").rglob("*") if path.is_file()}
    assert left == {
        *("history.csv", "label_errors.csv", "predictions.csv", "repeats.csv", "steps.csv"),
        *("cross_validation.json", "metrics.json", "split.json", "training.json", "unknown.json"),
        "warnings.json",
    }
    assert not list(here.rglob(".part-*"))


def test_what_seldom_happens_is_reported(here: Path) -> None:
    # A training that diverged, and a class without a test image.
    diverged = [*HISTORY[:1], (2, "", 0.5, "", 0.5), (3, "inf", 0.5, "inf", 0.5)]
    make(here, ["a", "b"], head=HISTORY[:1], finetuned=diverged)
    with (here / "data/split.csv").open("a", encoding="utf-8") as file:
        file.write("0,c/1,c,train\n")
    with (here / "data/parts.csv").open("a", encoding="utf-8") as file:
        file.write("c,train,1,1.000000,1\nc,valid,0,0.000000,0\nc,test,0,0.000000,0\n")
    for path in (here / "data/predictions").iterdir():
        np.save(path, np.pad(np.load(path), ((0, 0), (0, 1))))
    run("report")
    page = Page((here / "reports/index.html").read_text(encoding="utf-8")).text
    assert "3 classes" in page
    assert "Test lacks 1 class:" in page
    assert "1 epoch: validation loss 0.900" in page
    assert "3 epochs; kept is epoch 2" in page


def test_the_classes_are_in_the_order_that_was_chosen(here: Path) -> None:
    make(here, ["a", "b", "10"])
    change(here, {"dataset.classes": ["b", "10", "a"]})
    run("report")
    texts = Page((here / "reports/index.html").read_text(encoding="utf-8")).texts
    rows = texts[texts.index("What was learned from?") :]
    assert rows.index("b") < rows.index("10") < rows.index("a")


@pytest.mark.parametrize(
    "rows",
    [
        [(1, np.nan, np.nan, np.nan, np.nan)],
        HISTORY[:1],
        [(e, 0, 0, 0, 0) for e in (1, 2)],
        [(0, np.nan, np.nan, 1.1, 0.5), *HISTORY],
        HISTORY * 50,
    ],
    ids=["nothing finite", "one epoch", "constant", "with its start", "many"],
)
@pytest.mark.parametrize("weight", [None, 0.5])
def test_curves_of_any_history_are_drawn(tmp_path: Path, rows: list, weight: float | None) -> None:
    history = pd.DataFrame(rows, columns=HISTORY_COLUMNS, dtype=float)
    with warnings.catch_warnings(action="error"):
        draw_curves(tmp_path / "curves.png", history, "Head", 0, weight)
    assert Image.open(tmp_path / "curves.png").size == (900, 870)


@pytest.mark.parametrize("n", [1, 2, 60])
def test_counts_have_room_in_their_cells(tmp_path: Path, n: int) -> None:
    counts = np.diag(np.full(n, 999))
    with warnings.catch_warnings(action="error"):
        names = [f"class {i}" for i in range(n)]
        draw_confusion(tmp_path / "confusion.png", counts, names, "Head", "accuracy")
    width, height = Image.open(tmp_path / "confusion.png").size
    # Three digits of 5.5 points are 22 pixels wide.
    assert min(width, height) >= max(600, 22 * n)
    assert max(width, height) <= 4000


@given(st.lists(st.floats(-1e6, 1e6)), st.floats(0, 1, exclude_max=True))
def test_smoothing_is_the_plain_rule(values: list[float], weight: float) -> None:
    expected: list[float] = []
    for value in values:
        expected.append(weight * expected[-1] + (1 - weight) * value if expected else value)
    assert smooth(values, weight).tolist() == expected
    assert smooth(values, 0).tolist() == values
    # A curve that begins later, as that of the training loss does after epoch 0.
    assert smooth([np.nan, *values], weight)[1:].tolist() == expected


@settings(max_examples=50)
@given(st.text(), st.integers(6, 40))
def test_a_shortened_name_is_short_and_on_one_line(name: str, limit: int) -> None:
    short = shorten(name, limit)
    assert text_columns(short) <= limit and short.isprintable()


def test_short_names_stay_and_long_ones_keep_both_ends() -> None:
    assert shorten("speed limit 30", 26) == "speed limit 30"
    short = shorten("speed limit for lorries and buses 30", 26)
    assert short.startswith("speed limit for") and short.endswith(" 30")


def test_names_that_no_font_has_are_told_apart() -> None:
    # Two places that Unicode has promised to leave empty.
    assert drawable_labels(["cat", "\ufdd0", "a\ufdd1b", ""], 26) == ["cat", "2: �", "3: a�b", "4:"]


@given(st.data())
def test_every_prediction_is_counted_once(data: st.DataObject) -> None:
    classes = ["nan", "2", "10", "a b"]
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(classes), st.sampled_from(classes))))
    table = pd.DataFrame(pairs, columns=["label", "predicted"], dtype=str)
    counts = count_confusion(table["label"], table["predicted"], classes)
    for i, label in enumerate(classes):
        for j, predicted in enumerate(classes):
            assert counts[i, j] == pairs.count((label, predicted))
    confused = most_confused(counts)
    assert sum(count for _, _, count, _ in confused) == counts.sum() - np.trace(counts)
    assert all(i != j for i, j, _, _ in confused)
    assert all(share == n / counts[i].sum() for i, _, n, share in confused)
    found = [count for _, _, count, _ in confused]
    assert found == sorted(found, reverse=True)


def test_the_stage_starts_without_the_heavy_libraries() -> None:
    heavy = "{'tensorflow', 'keras', 'openvino', 'sklearn', 'matplotlib.pyplot'}"
    code = f"import sys, graft.report.report; print({heavy} & set(sys.modules))"
    assert python(code) == "set()\n"
