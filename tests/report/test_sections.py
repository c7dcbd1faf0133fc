"""What the sections of the page are made of, from small values, without HTML."""

import base64
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graft.report.charts import Chart, padded_ends, thin, ticks
from graft.report.confusion import mean_probabilities, order_alike
from graft.report.page import write_data
from graft.report.reading import ReportedModel, Tested
from graft.report.sections import provenance
from graft.report.sections.class_table import judge_classes, rank_curves, worst_first
from graft.report.sections.doubts import write_spreadsheet
from graft.report.sections.headline import (
    say_gain,
    say_meaning,
    say_weakest,
    summarise_headline,
)
from graft.report.sections.learning import chart_history
from graft.report.sections.matrix import choose_part, describe_pairs_of_classes, list_cells
from graft.report.sections.mistakes import rank_photos, summarise_mistakes
from graft.report.sections.trust import say_trust, tabulate_kept
from graft.report.thumbnails import Album, make_thumbnail
from graft.report.wording import in_words, say_sentence
from graft.statistics.accuracy import wilson_interval
from graft.statistics.reliability import bin_confidences
from images import write
from pages import HISTORY_COLUMNS, METRICS, noise, outcome, reported


def one_wrong(**values: Any) -> tuple[ReportedModel, Tested]:
    """A model that is wrong on the last of four photos, and the test part with it."""
    labels = [0, 0, 1, 0]
    model = reported("finetuned", [0, 0, 1, 1], labels, **values)
    return model, outcome(model, labels=labels)


def test_shares_are_said_as_people_say_them() -> None:
    said = {0: "none", 1: "all", 0.5: "50 in 100", 0.02: "2 in 100", 0.004: "4 in 1,000"}
    said |= {0.996: "996 in 1,000", 0.0003: "3 in 10,000", 0.00001: "fewer than 1 in 10,000"}
    said |= {0.99999: "more than 9,999 in 10,000"}
    assert {share: in_words(share) for share in said} == said


class TestHeadline:
    """How good is it."""

    def test_it_says_what_the_accuracy_means(self) -> None:
        metrics = METRICS | {"accuracy_low": 0.9, "accuracy_high": 0.998}
        model, tested = one_wrong(metrics=metrics, confidence=np.array([0.99, 0.96, 0.9, 0.95]))
        first, second = say_meaning(tested.labels, model)
        said = "About 25 in 100 new photos like these will be wrong (between 2 in 1,000 and"
        assert first.startswith(said)
        assert second.endswith("or more), 75 in 100, about 33 in 100 are wrong.")
        allwrong = model._replace(predicted=1 - tested.labels)
        first, second = say_meaning(tested.labels, allwrong)
        said = "Every test photo is wrong; of new ones like these, 2 in 1,000 or more will be."
        assert first == said
        assert second.endswith("75 in 100, all are wrong.")
        unsure = model._replace(confidence=np.full(4, 0.5))
        assert "It is never sure" in say_meaning(tested.labels, unsure)[1]

    def test_without_a_mistake_it_says_how_many_there_may_be(self) -> None:
        model = reported("finetuned", [0, 1], [0, 1], metrics=METRICS | {"accuracy_low": 0.96})
        first, second = say_meaning(np.array([0, 1]), model)
        assert first == "No test photo is wrong; of new ones like these, up to 4 in 100 may be."
        assert "It is never sure" in second

    def test_the_models_are_compared_photo_by_photo(self) -> None:
        labels = [0, 1, 1, 0]
        tuned = reported("finetuned", [0, 1, 1, 1], labels)
        head = reported("head", [1, 0, 1, 0], labels)
        said = say_gain(outcome(tuned, head, labels=labels))
        assert said.replace("\N{NO-BREAK SPACE}", " ").startswith("Fine-tuning fixed 2 of the head")
        assert said.endswith("and made 1\N{NO-BREAK SPACE}new one.")
        assert "the head was kept" in say_gain(outcome(head, labels=labels))
        none = tuned._replace(training=tuned.training | {"epochs": 0})
        kept = outcome(head, labels=labels)._replace(all_models=(head, none))
        assert say_gain(kept) == "Nothing was fine-tuned."

    def test_the_class_that_is_found_least_is_named(self) -> None:
        labels = [0] * 90 + [1] * 20
        predicted = [0] * 90 + [1] * 8 + [0] * 12
        tested = outcome(reported("head", predicted, labels), labels=labels)
        (said,) = say_weakest(tested, np.array([90, 80]), balanced=False)
        assert said.startswith(
            "Of b, 40 in 100 are found, the fewest of all classes; most of the oth"
        )
        assert said.endswith(
            "are taken for a. More photos of it may help, and a look at its labels."
        )
        (said,) = say_weakest(tested, np.array([90, 10]), balanced=False)
        assert said.endswith(
            "more may help, or head.class_weight and finetune.class_weight: balanced."
        )
        (said,) = say_weakest(tested, np.array([90, 10]), balanced=True)
        assert said.endswith("It has few photos to learn from: more may help.")

    @pytest.mark.parametrize("missed", [0, 3])
    def test_what_may_be_chance_names_no_class(self, missed: int) -> None:
        labels = [0] * 30 + [1] * 20 + [2] * 4
        predicted = [0] * 28 + [1] * 2 + [1] * (20 - missed) + [0] * missed + [0] * 4
        tested = outcome(reported("head", predicted, labels), labels=labels, classes="abc")
        assert not say_weakest(tested, np.array([30, 20, 4]), balanced=False)

    def test_a_class_that_misses_one_photo_is_not_the_weakest(self) -> None:
        labels = [0] * 270 + [1] * 30
        tested = outcome(reported("head", [0] * 271 + [1] * 29, labels), labels=labels)
        assert not say_weakest(tested, np.array([270, 30]), balanced=False)

    @pytest.mark.parametrize(("low", "guessing"), [(0.6, True), (0.8, False)])
    def test_it_is_measured_against_guessing(self, low: float, guessing: bool) -> None:
        _, tested = one_wrong(metrics=METRICS | {"accuracy_low": low})
        found = summarise_headline(tested, np.array([9, 5]))
        assert (found["guess"], found["largest"]) == (0.75, "a")
        assert found["guessing"] == guessing

    def test_the_accuracy_that_leads_is_the_one_that_is_explained(self) -> None:
        """Also where that is the cross-validated one."""
        _, tested = one_wrong(metrics=METRICS)
        crossed = {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9}
        first = summarise_headline(tested, np.array([9, 5]), leading=crossed)["meaning"][0]
        assert first.startswith(
            "About 20 in 100 new photos like these will be wrong (between 10 in"
        )
        assert first.endswith("and 30 in 100, as far as cross-validation can tell).")
        sure = summarise_headline(tested, np.array([9, 5]), leading=crossed | {"accuracy": 1.0})
        assert sure["meaning"][0].startswith("No photo is wrong; of new ones like these, up to 30")


class TestMistakes:
    """Where is it wrong."""

    def test_the_surest_mistakes_come_first_and_each_photo_once(self) -> None:
        labels = [0, 0, 0, 1, 1]
        tuned = reported("finetuned", [0, 1, 1, 1, 1], labels)
        tuned = tuned._replace(confidence=np.array([0.9, 0.6, 0.8, 0.55, 0.7]))
        head = reported("head", [1, 1, 0, 1, 1], labels, confidence=np.full(5, 0.5))
        order = list(rank_photos(outcome(tuned, head, labels=labels)))
        assert order[:3] == [2, 1, 0]  # both of the chosen model, then that of the head alone
        assert order[3:] == [3, 4]  # right, the least sure first

    def test_every_pair_of_classes_has_a_photo(self) -> None:
        labels = [0] * 600 + [1]
        said = [1] * 600 + [2]
        model = reported("finetuned", said, labels, confidence=np.linspace(0.99, 0.4, 601))
        order = list(rank_photos(outcome(model, labels=labels, classes="abc")))
        assert sorted(order) == list(range(601))
        assert order[:400] == list(range(400))
        assert 600 in order[400:402]

    def test_what_has_no_room_is_left_out(self) -> None:
        pictures = noise(4, 32)
        places = {f"photo {i}": i for i in (0, 2, 3)}
        _, found = one_wrong()
        photos = summarise_mistakes(found, Album(pictures, places, 10**6), {})["photos"]
        assert [photo["path"] for photo in photos] == ["photo 3", "photo 2", "photo 0"]
        assert [photo["mistaken"] for photo in photos] == [True, False, False]
        room = len(make_thumbnail(pictures[0]).address) + 10
        one = summarise_mistakes(found, Album(pictures, places, room), {})
        assert [photo["path"] for photo in one["photos"]] == ["photo 3"]
        assert (one["wrong"], one["shown"]) == ({"finetuned": 1}, {"finetuned": 1})

    def test_the_second_guess_is_told(self) -> None:
        shares = np.array([[0.9, 0.1], [0.999, 0.001], [0.2, 0.8], [0.3, 0.7]], np.float32)
        _, tested = one_wrong(probabilities=shares)
        album = Album(noise(4, 32), {f"photo {i}": i for i in range(4)}, 10**6)
        photos = summarise_mistakes(tested, album, {})["photos"]
        seconds = {photo["path"]: photo["answers"]["finetuned"]["second"] for photo in photos}
        assert seconds["photo 3"] == (0, 0.3) and seconds["photo 1"] is None

    def test_a_shade_is_dark_where_the_network_did_not_look(self) -> None:
        _, tested = one_wrong()
        album = Album(noise(4, 32), {f"photo {i}": i for i in range(4)}, 10**6)
        looks = {"finetuned": {3: np.array([[0, 255]], np.uint8)}}
        found = summarise_mistakes(tested, album, looks)
        shades = [photo["answers"]["finetuned"]["shade"] for photo in found["photos"]]
        data = base64.b64decode(shades[0].partition("base64,")[2])
        assert np.asarray(Image.open(io.BytesIO(data)))[..., 1].tolist() == [[204, 0]]
        assert shades[1:] == [None] * 3

    def test_large_pictures_are_reduced_and_small_ones_exact(self) -> None:
        small, large = noise(32), noise(224)
        assert make_thumbnail(small).address.startswith("data:image/png;")
        assert make_thumbnail(small).enlarged
        reduced = make_thumbnail(large)
        assert (reduced.side, reduced.enlarged) == (128, False)
        assert reduced.address.startswith("data:image/webp;")


class TestMatrix:
    """What does it confuse."""

    def test_pairs_are_told_in_both_directions(self) -> None:
        counts = np.array([[7, 1, 2], [3, 9, 0], [0, 0, 5]])
        first, second = describe_pairs_of_classes(counts)
        assert (first["one"], first["other"], first["there"], first["back"]) == (1, 0, 3, 1)
        assert (first["of_one"], first["of_other"]) == (12, 10)
        assert (second["one"], second["other"], second["there"], second["back"]) == (0, 2, 2, 0)

    @given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=4, max_size=4))
    def test_every_mistake_is_in_one_pair(self, rows: list[list[int]]) -> None:
        counts = np.array(rows)
        pairs = describe_pairs_of_classes(counts)
        assert sum(p["there"] + p["back"] for p in pairs) == counts.sum() - np.trace(counts)
        cells = np.reshape(list_cells(counts), (-1, 3)).astype(int)
        again = np.zeros_like(counts)
        again[cells[:, 0], cells[:, 1]] = cells[:, 2]
        assert (again == counts).all()

    def test_alike_classes_stand_together(self) -> None:
        likeness = np.eye(6)
        for one, other in ((0, 3), (1, 5), (2, 4)):
            likeness[one, other] = 0.4
        order = order_alike(likeness)
        assert sorted(order) == list(range(6))
        places = {number: place for place, number in enumerate(order)}
        assert all(abs(places[a] - places[b]) == 1 for a, b in ((0, 3), (1, 5), (2, 4)))
        assert order_alike(np.eye(2)) == [0, 1]

    def test_likeness_is_the_mean_of_what_is_said(self) -> None:
        shares = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]], np.float32)
        found = mean_probabilities(shares, np.array([0, 0, 1]), 2)
        assert found == pytest.approx(np.array([[0.7, 0.3], [0.1, 0.9]]))

    def test_of_many_classes_those_with_mistakes_are_shown(self) -> None:
        counts = np.eye(100, dtype=int)
        counts[90, 3] = counts[7, 90] = 5
        assert choose_part(counts, 60, 3) == [3, 7, 90]
        assert choose_part(np.eye(100, dtype=int), 60, 3) == [0, 1, 2]
        assert choose_part(counts, 100) == list(range(100))


class TestClasses:
    """Which classes."""

    def test_each_class_has_its_intervals(self) -> None:
        said, labels = [0, 0, 1, 1, 1], [0, 1, 1, 1, 0]
        found = outcome(reported("finetuned", said, labels), labels=labels)
        first, second = judge_classes(found, found.chosen)
        assert first["recall"] == (0.5, *wilson_interval(1, 2))
        assert second["precision"][0] == pytest.approx(2 / 3)
        assert second["f1"][0] == pytest.approx(2 / 3)
        assert second["f1"][1] < 2 / 3 < second["f1"][2]
        assert (first["with"], second["with"]) == ((1, 1), (0, 1))
        assert [row["class"] for row in worst_first([first, second])] == [0, 1]

    def test_a_class_without_images_has_no_number(self) -> None:
        found = outcome(reported("finetuned", [0, 2], [0, 2]), labels=[0, 2], classes="abc")
        rows = worst_first(judge_classes(found, found.chosen))
        nothing = dict.fromkeys(["precision", "recall", "f1", "with"])
        assert rows[-1] == {"class": 1, "images": 0, **nothing}

    def test_two_classes_have_curves_with_the_threshold(self) -> None:
        labels = [0, 0, 1, 1]
        shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]], np.float32)
        metrics = METRICS | {"auc": 1.0, "average_precision": 1.0, "threshold": 0.65}
        model = reported("head", [0, 1, 1, 1], labels, probabilities=shares, metrics=metrics)
        curves = rank_curves(outcome(model, labels=labels), model)
        assert curves["threshold"] == 0.65
        # All of the second class, without a false alarm: the upper left corner.
        assert curves["roc"].dots == [("chosen", "0", "0")]
        assert curves["precision"].dots == [("chosen", "340", "0")]
        one_class = model._replace(metrics=METRICS)
        assert rank_curves(outcome(one_class, labels=labels), one_class) is None


class TestTrust:
    """Can its confidence be believed."""

    def test_the_band_of_chance_is_that_of_coins(self) -> None:
        (row,) = bin_confidences(np.full(100, 0.5), np.arange(100) < 70)
        assert (row["n"], row["said"], row["true"]) == (100, 0.5, 0.7)
        assert (row["low"], row["high"]) == (0.4, 0.6)  # scipy.stats.binom.ppf
        assert "It could be surer: at 1 of 1" in say_trust([row])
        assert "too sure of itself" in say_trust([row | {"true": 0.3}])
        assert say_trust([row | {"true": 0.55}]).startswith("It is right about")
        assert say_trust([row, row | {"true": 0.3}]).startswith("Not everywhere")

    def test_what_is_taken_for_something_else_is_said(self) -> None:
        found = {"known": 1000, "wanted": 0.05, "n": 500, "false_alarms": 30}
        found |= {
            f"false_alarm_{k}": v for k, v in {"rate": 0.06, "low": 0.04, "high": 0.09}.items()
        }
        text = say_sentence("strangers", found=found)
        assert "too little like the 1,000\N{NO-BREAK SPACE}training photos that the model" in text
        assert "on average, at most 5 in 100 photos like these are taken for" in text
        assert (
            "Of the test photos, 6 in 100 are; of new ones like these between 4 in 100 and" in text
        )
        none = found | {"false_alarms": 0, "false_alarm_rate": 0.0, "false_alarm_low": 0.0}
        text = say_sentence("strangers", found=none)
        assert "test photos, none is; of new ones like these, up to 9 in 100 may be" in text

    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
    def test_every_image_is_in_one_bin(self, images: list[tuple[float, bool]]) -> None:
        confidence, right = (np.array(column) for column in zip(*images, strict=True))
        bins = bin_confidences(confidence, right)
        assert sum(row["n"] for row in bins) == len(images)
        assert sum(row["n"] * row["true"] for row in bins) == pytest.approx(right.sum())
        assert all(0 <= row["low"] <= row["high"] <= 1 for row in bins)

    def test_the_surest_are_kept(self) -> None:
        said, labels = [0] * 10, [0] * 9 + [1]
        model = reported("finetuned", said, labels, confidence=np.linspace(0.99, 0.5, 10))
        rows = tabulate_kept(outcome(model, labels=labels), model)
        assert (rows[0]["kept"], rows[0]["accuracy"]) == (10, 0.9)
        assert (rows[2]["kept"], rows[2]["accuracy"]) == (9, 1.0)


class TestDoubts:
    """Are the labels right."""

    @given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
    def test_the_list_is_csv_in_which_nothing_is_computed(self, rows: list) -> None:
        table = pd.DataFrame(rows, columns=["path", "label"], dtype=str)
        again = list(csv.reader(io.StringIO(write_spreadsheet(table), newline="")))
        assert again[0] == ["path", "label"]
        for written, row in zip(again[1:], rows, strict=True):
            for cell, text in zip(written, row, strict=True):
                assert cell in (text, f"'{text}")
                assert not cell.startswith(("=", "+", "-", "@"))


class TestLearning:
    """How did training go."""

    def test_a_gap_stays_a_gap(self) -> None:
        rows = [(0, np.nan, np.nan, 1.0, 0.5), (1, 1, 0.5, np.inf, 0.6), (2, 0.5, 0.7, 0.6, 0.7)]
        history = pd.DataFrame(rows, columns=HISTORY_COLUMNS, dtype=float)
        charts = chart_history(reported("head", (0, 1), (0, 1), history=history), 0.5)
        assert [chart.y_title for chart in charts] == ["accuracy", "loss"]
        assert "inf" not in repr(charts[1].lines) and "nan" not in repr(charts[1].lines)
        plain = [points for style, points in charts[1].lines if style == "valid plain"]
        assert [len(points.split()) for points in plain] == [1, 1]
        assert len(charts[0].dots) == 1

    def test_rates_are_told(self) -> None:
        values = {"head.learning_rate": 0.003, "head.optimizer": "Adam"}
        values |= {"finetune.learning_rate": 0.0002, "finetune.head_learning_rate": 0.001}
        values |= {"finetune.optimizer": "AdamW", "finetune.warmup": 1, "finetune.epochs": 5}

        def say(key: str, **training: int) -> str:
            model = reported(key, (0, 1), (0, 1), training=training)
            said = say_sentence("rates", model=model, parameters=values)
            return said.replace("\N{NO-BREAK SPACE}", " ")

        said = say("finetuned", epochs=5)
        assert "0.0002 for the network, 0.001 for the head; 1 epoch of linear rise" in said
        assert say("head", epochs=5) == "Adam at a learning rate of 0.003."
        assert say("head", epochs=1, regularisation=1) == ""


class TestMaking:
    """How was it made."""

    DEFAULTS = b"dataset: {path: a.zip}\nhead: {epochs: 40, stack: []}\naugment: {flip: none}\n"

    def make(self, folder: Path, **parameters: Any) -> dict[str, Any]:
        """The section for some parameters."""
        recipes = {
            "one": b"# One\nhead: {epochs: 10}\n",
            "two": b"# Two\nhead: {epochs: 10, stack: [norm]}\n",
            "broken": b"head: [\n",
        }
        write(folder, {f"recipes/{name}.yaml": text for name, text in recipes.items()})
        write(folder, {"defaults.yaml": self.DEFAULTS, "data": b"abc"})
        values = {"dataset.path": "a.zip", "augment.flip": "none"}
        values |= {"head.epochs": 10, "head.stack": []}
        values |= {key.replace("__", "."): value for key, value in parameters.items()}
        files = [folder / "data"]
        return provenance.summarise_provenance(
            values, folder / "defaults.yaml", folder / "recipes", files
        )

    def test_what_was_changed_comes_first(self, tmp_path: Path) -> None:
        found = self.make(tmp_path, dataset__path="my photos")
        assert (found["recipe"], found["own"]) == ("one", 1)
        assert [row["key"] for row in found["changed"]] == ["dataset.path", "head.epochs"]
        assert [row["own"] for row in found["changed"]] == [True, False]
        assert found["changed"][0]["recipe"] == found["changed"][0]["default"] == "a.zip"
        assert [row["key"] for row in found["same"]] == ["augment.flip", "head.stack"]
        assert found["commands"][0] == "uv run graft use one --set 'dataset.path=my photos'"
        assert found["hashes"] == {str(tmp_path / "data"): "900150983cd24fb0d6963f7d28e17f72"}
        assert {"keras", "numpy"} <= set(found["versions"])

    def test_a_recipe_as_it_is_has_a_short_command(self, tmp_path: Path) -> None:
        found = self.make(tmp_path, head__stack=["norm"])
        assert (found["recipe"], found["own"]) == ("two", 0)
        assert found["commands"][0] == "uv run graft use two"

    def test_without_recipes_the_commands_begin_with_the_run(self) -> None:
        assert provenance.find_recipe({"a.b": 1}, {}) == ""
        assert provenance.write_commands("", [])[0] == "uv run snakemake --cores all"

    def test_a_hash_is_that_of_the_whole_file(self, tmp_path: Path) -> None:
        write(tmp_path, {"x": bytes(2**20 + 1), "y": bytes(2**20 + 2)})
        assert provenance.find_md5(tmp_path / "x") != provenance.find_md5(tmp_path / "y")


class TestCharts:
    """Places in a drawing."""

    @given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
    def test_ticks_are_few_round_numbers_within_the_axis(self, low: float, span: float) -> None:
        found = ticks((low, low + span))
        assert 2 <= len(found) <= 8
        assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)
        assert found == sorted(found)

    @given(st.floats(-10, 10), st.floats(1e-3, 10), st.sampled_from(["", "y"]))
    def test_ticks_are_written_with_the_decimals_of_their_step(
        self, low: float, span: float, as_percent: str
    ) -> None:
        ends = low, low + span
        chart = Chart("x", "y", y_ends=ends, as_percent=as_percent)
        texts = [text.removesuffix("\N{NO-BREAK SPACE}%") for _, text in chart.y_ticks]
        written = np.array([float(text.replace(",", "")) for text in texts])
        assert written == pytest.approx(np.array(ticks(ends)) * (100 if as_percent else 1))
        assert np.ptp(np.diff(written)) < 1e-6

    def test_a_line_has_no_more_points_than_can_be_seen(self) -> None:
        x, y = thin(range(50_000), range(50_000))
        assert len(x) == 250 and (x[0], y[-1]) == (0, 49_999)

    def test_axes_of_nothing_are_drawn(self) -> None:
        assert padded_ends([np.nan]) == (0.0, 1.0)
        chart = Chart("x", "y", (1, 1), padded_ends([0.5, 0.5], 0, 1))
        chart.line([], [], "main")
        chart.line([1], [0.5], "main")
        assert chart.x_ticks and chart.lines == [("main", "170,115")]


@given(st.dictionaries(st.text(), st.text()))
def test_data_can_end_no_element(values: dict[str, str]) -> None:
    text = write_data(values)
    assert not set(text) & set("<>&") and text.isascii()
