"""Which part an image goes to: the rule, and the stage around it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cases import read_cases
from graft.common.classes import LEFT_OUT, PARTS
from graft.common.errors import UserError
from graft.common.tables import read_json, read_table, write_table
from graft.split.assignment import assign_parts, draw_parts
from graft.split.leaks import check_leaks, count_leaks
from graft.split.stratified import draw_exactly
from graft.split.units import hash_position, number_units, unit_positions
from images import SHARDS, change, complaint, graft, run

SAID = read_cases(__file__)
SHARES = {"train": 0.7, "valid": 0.15, "test": 0.15}
seeds = st.integers(0, 2**31 - 1)
# Shares of test and valid; train is the rest.
shares = st.tuples(st.integers(5, 45), st.integers(5, 45)).map(
    lambda pair: {"test": pair[0] / 100, "valid": pair[1] / 100, "train": 1 - sum(pair) / 100}
)


def divide(
    keys: Sequence[str], labels: Sequence[str], shares: dict[str, float] = SHARES, seed: int = 1
) -> pd.Series:
    """The part of each key."""
    places = pd.Series([hash_position(seed, key) for key in keys], dtype=float)
    return draw_parts(places, pd.Series(list(labels), dtype=str), shares)


def drawn(seed: int, key: str, shares: dict[str, float]) -> str:
    """The part that an image alone would get."""
    place = hash_position(seed, key)
    if place < shares["test"]:
        return "test"
    return "valid" if place < shares["test"] + shares["valid"] else "train"


def everywhere(labels: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether each class has an image in each part."""
    return all(
        {part for own, part in zip(labels, parts, strict=True) if own == label} == set(PARTS)
        for label in set(labels)
    )


@given(seeds, st.text())
def test_a_position_is_a_fixed_number_from_0_to_below_1(seed: int, key: str) -> None:
    assert 0 <= hash_position(seed, key) < 1
    assert hash_position(seed, key) == hash_position(seed, key)


def test_positions_are_uniform_and_differ_by_seed() -> None:
    keys = [str(number) for number in range(4000)]
    places = pd.DataFrame({seed: [hash_position(seed, key) for key in keys] for seed in (1, 2)})
    for seed in places:
        counts = places[seed].mul(20).astype(int).value_counts()
        chi_squared = ((counts - 200) ** 2 / 200).sum()
        assert chi_squared < 43.8  # 19 degrees of freedom, one in a thousand
    assert abs(places.corr().iloc[0, 1]) < 0.06


def test_known_positions_never_change() -> None:
    # The splits that people have made depend on them.
    assert hash_position(1, "") == 0.4357646219016123
    assert hash_position(7, "ab") == 0.10718865079301547


@given(seeds, shares, st.integers(30, 60), st.lists(st.sampled_from("ab"), max_size=40))
def test_added_images_move_no_other(
    seed: int, shares: dict[str, float], n: int, added: list[str]
) -> None:
    labels = list("ab") * n
    keys = [str(number) for number in range(len(labels))]
    assume(everywhere(labels, [drawn(seed, key, shares) for key in keys]))
    before = divide(keys, labels, shares, seed)
    more = [f"new {number}" for number in range(len(added))]
    after = divide(more + keys, added + labels, shares, seed)
    assert list(after[len(more) :]) == list(before)


@given(seeds, st.lists(st.sampled_from("abc"), min_size=1, max_size=40), shares, st.integers(1, 9))
def test_the_shares_of_train_and_valid_leave_the_test_part_alone(
    seed: int, labels: list[str], shares: dict[str, float], tenths: int
) -> None:
    keys = [str(number) for number in range(len(labels))]
    rest = 1 - shares["test"]
    other = shares | {"valid": rest * tenths / 10, "train": rest * (10 - tenths) / 10}
    one, two = divide(keys, labels, shares, seed), divide(keys, labels, other, seed)
    assert list(one == "test") == list(two == "test")


@given(seeds, shares, st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=1))
def test_a_group_stays_together(
    seed: int, shares: dict[str, float], images: list[tuple[str, int]]
) -> None:
    labels, groups = zip(*images, strict=True)
    parts = divide([str(group) for group in groups], labels, shares, seed)
    assert (parts.groupby(pd.Series(groups)).nunique() == 1).all()


@given(
    seeds,
    shares,
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1),
    st.sets(st.sampled_from(PARTS), min_size=1),
)
def test_a_class_has_every_part_as_soon_as_it_can(
    seed: int, shares: dict[str, float], images: list[tuple[str, int]], asked: set[str]
) -> None:
    labels = [label for label, _ in images]
    keys = [f"{label}{number}" for label, number in images]
    parts = divide(keys, labels, {part: shares[part] for part in asked}, seed)
    assert set(parts) <= asked
    table = pd.DataFrame({"label": labels, "key": keys, "part": parts})
    for _, own in table.groupby("label"):
        assert own["part"].nunique() == min(len(asked), own["key"].nunique())


@given(seeds, shares, st.integers(3, 30))
def test_where_chance_gives_a_class_every_part_nothing_is_moved(
    seed: int, shares: dict[str, float], n: int
) -> None:
    keys = [str(number) for number in range(n)]
    parts = [drawn(seed, key, shares) for key in keys]
    assume(everywhere("a" * n, parts))
    assert list(divide(keys, "a" * n, shares, seed)) == parts


@given(seeds, shares, st.integers(1, 4), st.integers(3, 12))
def test_classes_that_share_all_groups_have_every_part(
    seed: int, shares: dict[str, float], classes: int, persons: int
) -> None:
    labels = [str(label) for label in range(classes) for _ in range(persons)]
    groups = [str(person) for person in range(persons)] * classes
    parts = divide(groups, labels, shares, seed)
    assert everywhere(labels, parts)
    assert (parts.groupby(pd.Series(groups)).nunique() == 1).all()


@given(seeds)
def test_shares_hold_within_what_chance_allows(seed: int) -> None:
    labels = ["a"] * 1500 + ["b"] * 500
    parts = divide([str(number) for number in range(2000)], labels, SHARES, seed)
    for label, n in (("a", 1500), ("b", 500)):
        counts = parts[[own == label for own in labels]].value_counts()
        for part, share in SHARES.items():
            # Five standard deviations: one in two million.
            assert abs(counts[part] - n * share) <= 5 * math.sqrt(n * share * (1 - share))


def test_another_seed_is_another_split() -> None:
    keys, labels = [str(number) for number in range(200)], ["a"] * 200
    same = divide(keys, labels, seed=1) == divide(keys, labels, seed=2)
    # Two independent draws agree as often as Σ share².
    assert abs(same.mean() - sum(share**2 for share in SHARES.values())) < 0.15


@given(seeds, st.permutations(range(12)))
def test_the_order_of_the_images_does_not_matter(seed: int, order: list[int]) -> None:
    keys, labels = [str(number) for number in range(12)], "aaabbbbccccc"
    parts = divide(keys, labels, seed=seed)
    other = divide([keys[n] for n in order], [labels[n] for n in order], seed=seed)
    assert list(other) == [parts[n] for n in order]


@pytest.mark.usefixtures("here")
class TestStage:
    """`graft split` over tables written by hand."""

    @staticmethod
    def place(
        rows: list[dict[str, str]],
        status: dict[str, str] | None = None,
        near: Sequence[Sequence[str]] = (),
        levels: dict[str, str] | None = None,
        **changes: Any,
    ) -> None:
        """Writes what the stage reads.

        Args:
            rows: of the manifest.
            status: why files are quarantined, by id.
            near: sets of ids that are near copies.
            levels: the differences at which large sets fall apart, by their smallest id.
            changes: parameters of the section `dataset`.
        """
        change(Path(), {f"dataset.{key}": value for key, value in changes.items()})
        for folder in ("checked", "duplicates"):
            Path("data", folder).mkdir(parents=True, exist_ok=True)
        empty = {"group": "", "part": "", "reason": ""}
        own = {"id": "", "path": "", "label": ""}
        manifest = pd.DataFrame([own | empty | row for row in rows])
        manifest.insert(5, "shard", [str(number % SHARDS) for number in range(len(manifest))])
        write_table(Path("data/manifest.csv"), manifest)
        clusters = [(id_, min(ids)) for ids in near for id_ in ids]
        table = pd.DataFrame(clusters, columns=["id", "cluster"])
        write_table(Path("data/duplicates/clusters.csv"), table)
        large = pd.DataFrame([*(levels or {}).items()], columns=["cluster", "level"])
        write_table(Path("data/duplicates/large.csv"), large)
        checked = manifest.drop_duplicates("id")
        reasons = [(status or {}).get(id_, "") for id_ in checked["id"]]
        found = ["quarantined" if reason else "ok" for reason in reasons]
        table = checked[["id"]].assign(status=found, reason=reasons, width=1, height=1, phash="0")
        for key in map(str, range(SHARDS)):
            write_table(Path(f"data/checked/{key}.csv"), table[checked["shard"] == key])

    @staticmethod
    def rows(counts: dict[str, int], **more: str) -> list[dict[str, str]]:
        """Rows `<label>/<number>` of the manifest, each with an id of its own."""
        mark = "".join(more.values())
        return [
            {"id": f"{label}{n}{mark}", "path": f"{mark}/{label}/{n}.png", "label": label, **more}
            for label, count in counts.items()
            for n in range(count)
        ]

    @staticmethod
    def result() -> pd.DataFrame:
        run("split")
        return read_table(Path("data/split.csv"))

    def refuse(self, match: str, *rows: Any, **more: Any) -> str:
        """Runs the stage, after `place` if it is given something: its one message."""
        if rows:
            self.place(*rows, **more)
        with pytest.raises(UserError, match=match) as error:
            run("split")
        return str(error.value)

    def split(self, *rows: Any, **more: Any) -> pd.DataFrame:
        """What becomes of rows and more that `place` writes."""
        self.place(*rows, **more)
        return self.result()

    @staticmethod
    def warned(here: Path) -> str:
        """Runs the command, which goes well: what it says on standard error."""
        status, _, errors = graft(here, "split")
        assert status == 0
        return errors

    def test_every_row_of_the_manifest_is_a_row_in_its_order(self) -> None:
        rows = self.rows({"nan": 20, "01": 20, 'a "b", c': 20, "고양이": 20})
        table = self.split(rows)
        assert list(table) == ["id", "path", "label", "part"]
        assert table[["id", "path", "label"]].to_dict("records") == rows
        expected = divide([r["id"] for r in rows], [r["label"] for r in rows])
        assert list(table["part"]) == list(expected)

    def test_it_depends_on_the_seed_and_the_shares(self) -> None:
        rows = self.rows({"a": 40, "b": 40})
        self.place(rows)
        shares = {"train": 0.4, "valid": 0.35, "test": 0.25}
        change(Path(), {"split.seed": 9, **{f"split.{part}": own for part, own in shares.items()}})
        expected = divide([r["id"] for r in rows], [r["label"] for r in rows], shares, 9)
        assert list(self.result()["part"]) == list(expected)

    def test_groups_stay_together(self) -> None:
        rows = self.rows({"a": 40, "b": 40})
        for number, row in enumerate(rows):
            row["group"] = f"person {number % 7}" if number % 8 else ""
        table = self.split(rows).assign(group=[row["group"] for row in rows])
        grouped = table[table["group"] != ""].groupby("group")["part"].nunique()
        assert (grouped == 1).all() and len(grouped) == 7

    def test_bad_files_are_left_out_with_the_reason(self) -> None:
        bad = {"a3": "truncated", "b7": "zero bytes"}
        part = self.split(self.rows({"a": 20, "b": 20}), bad).set_index("id")["part"]
        assert all(part[id_] == LEFT_OUT + reason for id_, reason in bad.items())
        assert set(part.drop([*bad])) == set(PARTS)

    def test_a_bad_file_changes_nothing_for_the_others(self) -> None:
        good = self.split(self.rows({"a": 40, "b": 40})).set_index("id")["part"]
        other = self.split(self.rows({"a": 40, "b": 40}), {"a3": "truncated"})
        assert other.set_index("id")["part"].drop("a3").equals(good.drop("a3"))

    def test_too_many_bad_files_stop_it_with_nothing_written(self, here: Path) -> None:
        bad = {"a1": "truncated", "a2": "zero bytes", "b1": "truncated"}
        self.place(self.rows({"a": 20, "b": 20}), bad)
        assert complaint(here, "split") == SAID["bad"]
        assert not Path("data/split.csv").exists()
        change(here, {"dataset.max_bad": 3 / 40})
        assert len(self.result()) == 40

    def test_equal_files_under_two_labels_are_left_out(self) -> None:
        rows = self.rows({"a": 10, "b": 10})
        rows.append({"id": "a0", "path": "b/copy.png", "label": "b"})
        part = self.split(rows).set_index("path")["part"]
        assert set(part[["/a/0.png", "b/copy.png"]]) == {LEFT_OUT + "equal files have two labels"}
        assert set(part.drop(["/a/0.png", "b/copy.png"])) == set(PARTS)

    def test_equal_files_under_two_labels_are_named(self, here: Path) -> None:
        rows = self.rows({"a": 10, "b": 10})
        rows.append({"id": "a0", "path": "b/copy.png", "label": "b"})
        self.place(rows)
        _, _, errors = graft(here, "split")
        said = "2 images are left out, since equal files have two labels, such as '/a/0.png' and"
        assert f"{said} 'b/copy.png'." in errors
        assert "`uv run graft use --set dataset.two_labels=keep`" in errors
        # A class that lies within another, too.
        rows += [{"id": f"a{n}", "path": f"b/{n}.png", "label": "b"} for n in range(1, 10)]
        self.place(rows)
        said = complaint(here, "split")
        assert "of others, equal files have two labels, such as '/a/0.png' and 'b/copy.png'" in said
        change(here, {"dataset.two_labels": "keep"})
        assert graft(here, "split")[0] == 0

    def test_equal_files_share_a_part(self) -> None:
        rows = self.rows({"a": 10, "b": 10})
        copies = [row | {"path": f"{row['path']} copy"} for row in rows]
        parts = self.split(rows + copies)["part"]
        assert list(parts[:20]) == list(parts[20:])

    def test_parts_that_the_data_set_gives_are_kept(self) -> None:
        given = {"train": 20, "valid": 5, "test": 7}
        rows = [row for part, n in given.items() for row in self.rows({"a": n, "b": n}, part=part)]
        assert list(self.split(rows)["part"]) == [row["part"] for row in rows]

    @pytest.mark.parametrize("missing", ["valid", "test"])
    def test_a_part_that_it_lacks_is_drawn_from_train(self, missing: str) -> None:
        (kept,) = {"valid", "test"} - {missing}
        rows = self.rows({"a": 200, "b": 200}, part="train")
        rows += self.rows({"a": 9, "b": 9}, part=kept)
        parts = self.split(rows)["part"]
        assert set(parts[:400]) == {"train", missing}
        assert set(parts[400:]) == {kept}
        share = SHARES[missing] / (SHARES[missing] + SHARES["train"])
        assert abs((parts[:400] == missing).mean() - share) < 5 * math.sqrt(share / 400)

    @pytest.mark.parametrize("case", SAID["refused"])
    def test_what_cannot_be_divided_is_refused(self, case: str) -> None:
        known = SAID["refused"][case]
        rows = [row for counts, more in known["rows"] for row in self.rows(counts, **more)]
        self.refuse(known["said"], rows, known.get("bad"), **known.get("dataset", {}))
        assert not Path("data/split.csv").exists()

    def test_three_different_files_are_enough_for_a_class(self) -> None:
        table = self.split(self.rows({"a": 20, "few": 3}))
        assert set(table["part"][table["label"] == "few"]) == set(PARTS)
        rows = self.rows({"a": 20, "few": 2})
        copy = rows[-1] | {"path": "few/copy.png"}
        self.refuse(r"of class 'few' must be .* Received: 2", [*rows, copy])

    def test_near_copies_share_a_part(self) -> None:
        rows = self.rows({"a": 40, "b": 40})
        near = [[f"a{n}", f"a{n + 20}"] for n in range(20)]
        part = self.split(rows, near=near).set_index("id")["part"]
        assert all(part[one] == part[other] for one, other in near)
        assert set(part) == set(PARTS)

    def test_copies_and_groups_hold_together_through_each_other(self) -> None:
        rows = self.rows({"a": 40, "b": 40})
        # a0 and a1 are one picture, a1 and a2 of one group, a2 and a copy of it one file.
        rows[1]["group"] = rows[2]["group"] = "Anna"
        rows.append(rows[2] | {"path": "a/copy.png", "group": ""})
        part = self.split(rows, near=[["a0", "a1"]])["part"]
        assert part[[0, 1, 2, 80]].nunique() == 1

    @pytest.mark.parametrize("rule", ["leave_out", "keep"])
    def test_near_copies_of_two_labels_are_kept_in_one_part(self, here: Path, rule: str) -> None:
        self.place(self.rows({"a": 20, "b": 20}), near=[["a0", "b0", "b1"], ["a2", "a3"]])
        change(here, {"dataset.two_labels": rule})
        errors = self.warned(here)
        part = read_table(Path("data/split.csv")).set_index("id")["part"]
        assert set(part) == set(PARTS)
        assert part[["a0", "b0", "b1"]].nunique() == 1
        assert errors == (SAID["two labels"] if rule == "leave_out" else "")

    def test_equal_files_of_two_labels_leave_their_near_copies(self) -> None:
        rows = self.rows({"a": 20, "b": 20})
        rows.append({"id": "a0", "path": "b/copy.png", "label": "b"})
        part = self.split(rows, near=[["a0", "a1"]])["part"]
        left_out = part == LEFT_OUT + "equal files have two labels"
        assert list(left_out[left_out].index) == [0, 40]

    def test_a_unit_that_leaves_a_part_empty_is_named_with_the_remedy(self) -> None:
        rows = self.rows({"a": 20, "b": 20})
        ids = [row["id"] for row in rows[:39]]
        for levels, remedy in (({min(ids): "0.05"}, "0.05"), ({}, "a lower one may")):
            self.place(rows, near=[ids], levels=levels)
            self.refuse(SAID["empty part"].format(f"{remedy} (divides|divide) them"))
        for row in rows:
            row["group"] = "Anna"
        self.refuse(r"40 of 40 images, .* dataset\.group puts into one group \('Anna'\)", rows)

    def test_a_test_part_of_one_class_is_refused(self) -> None:
        rows = self.rows({"a": 20, "b": 20})
        self.refuse(SAID["one class"], rows, near=[[f"b{n}" for n in range(20)]])

    def test_a_class_that_is_not_learned_is_refused(self) -> None:
        rows = self.rows({"a": 20, "b": 20})
        # The unit must be in the test part, since a has no other image for it.
        self.place(rows, near=[[row["id"] for row in rows[2:]]])
        seen = []
        for seed in range(1, 9):
            change(Path(), {"split.seed": seed})
            said = self.refuse(r"duplicates\.difference")
            seen.append("class 'b' must be in the training part; the" in said)
        assert any(seen)

    def test_a_class_of_one_unit_is_warned_of_with_the_reason(self, here: Path) -> None:
        self.place(self.rows({"a": 20, "b": 20, "c": 9}), near=[[f"c{n}" for n in range(9)]])
        assert self.warned(here) == SAID["one unit"]

    def test_what_belongs_together_is_written_for_those_who_divide_a_part_again(self) -> None:
        self.split(self.rows({"a": 20, "b": 20}), near=[["a0", "a1"], ["b2", "b3", "b4"]])
        unit = read_table(Path("data/units.csv")).set_index("id")["unit"]
        assert sorted(unit.index) == sorted(f"{label}{n}" for label in "ab" for n in range(20))
        together = [set(ids) for _, ids in unit.index.to_series().groupby(unit) if len(ids) > 1]
        assert sorted(map(sorted, together)) == [["a0", "a1"], ["b2", "b3", "b4"]]

    def test_classes_are_picked(self) -> None:
        rows = self.rows({"a": 20, "b": 20, "c": 20})
        table = self.split(rows, {f"c{n}": "truncated" for n in range(20)}, classes=["b", "a"])
        assert set(table["part"][table["label"] == "c"]) == {LEFT_OUT + "class not chosen"}
        assert set(table["part"][table["label"] != "c"]) == set(PARTS)
        assert list(read_table(Path("data/parts.csv"))["label"]) == ["b"] * 3 + ["a"] * 3

    def test_a_larger_cap_holds_the_smaller_one_and_moves_nothing(self) -> None:
        self.place(self.rows({"a": 90, "b": 30}))
        free, used = self.result()["part"], {}
        for cap in (20, 40):
            change(Path(), {"dataset.per_class": cap})
            table = self.result()
            over = table["part"] == LEFT_OUT + "over dataset.per_class"
            used[cap] = set(table["id"][~over])
            assert list(table["label"][~over].value_counts().sort_index()) == [cap, min(cap, 30)]
            assert table["part"][~over].equals(free[~over])
        assert used[20] < used[40]

    def test_a_regular_expression_finds_the_groups(self) -> None:
        rows = self.rows({"a": 50, "b": 50})
        for n, row in enumerate(rows):
            row["path"] = f"{row['label']}/person {n % 20:02}, {n}.png"
        table = self.split(rows, group=r"person (\d+)")
        person = table["path"].str.extract(r"person (\d+)")[0]
        assert (table["part"].groupby(person).nunique() == 1).all()
        assert read_json(Path("reports/split.json"))["groups"] == 20

    def test_a_column_of_the_csv_gives_the_groups(self) -> None:
        rows = self.rows({"a": 50, "b": 50})
        for number, row in enumerate(rows):
            row["csv_patient"] = str(number % 20)
        part = self.split(rows, group="patient")["part"]
        assert (part.groupby([row["csv_patient"] for row in rows]).nunique() == 1).all()

    def test_what_lies_in_two_given_parts_stays_in_the_later_one(self) -> None:
        rows = [row for part in PARTS for row in self.rows({"a": 6, "b": 6}, part=part)]
        copy = rows[12] | {"path": "copy.png", "part": "train"}  # of a file for validation
        table = self.split([*rows, copy], near=[["a1train", "a1test"], ["a2valid", "a2test"]])
        assert table["part"].iloc[-1] == f"{LEFT_OUT}the same picture or group is in valid"
        part = table.iloc[:-1].set_index("id")["part"]
        reason = f"{LEFT_OUT}the same picture or group is in test"
        assert list(part[part == reason].index) == ["a1train", "a2valid"]
        others = part.drop(["a1train", "a2valid"])
        assert [id_.endswith(own) for id_, own in others.items()] == [True] * len(others)

    def test_a_part_given_to_some_images_is_kept(self) -> None:
        rows = self.rows({"a": 60, "b": 60})
        for row in rows[:10] + rows[60:70]:
            row["part"] = "test"
        rows[10]["part"] = "train"
        part = self.split(rows, near=[["a0", "a20"]])["part"]
        tested = [*range(10), 20, *range(60, 70)]
        assert list(part[tested]) == ["test"] * 21
        assert set(part.drop(tested)) == {"train", "valid"}
        assert part[10] == "train"

    def test_a_class_that_is_absent_from_a_part_is_warned_of(self, here: Path) -> None:
        rows = self.rows({"a": 9, "b": 9}, part="train")
        rows += self.rows({"a": 9}, part="valid") + self.rows({"a": 9, "b": 9}, part="test")
        self.place(rows)
        assert self.warned(here) == SAID["absent"]
        assert read_json(Path("reports/split.json"))["absent"] == 1

    def test_a_class_of_one_group_is_learned(self) -> None:
        rows = self.rows({"a": 30, "b": 30, "c": 5})
        for row in rows[60:]:
            row["group"] = "one person"
        table = self.split(rows)
        assert set(table["part"][table["label"] == "c"]) == {"train"}

    def test_the_tables_beside_say_what_lies_where(self) -> None:
        rows = self.rows({"a": 30, "b": 30})
        rows[0]["group"] = rows[1]["group"] = "Anna"
        self.place(
            [*rows, rows[2] | {"path": "copy.png"}, {"id": "?", "path": "/x", "label": ""}],
            {"b3": "truncated", "?": "absolute path"},
            near=[["a4", "a5", "a6"], ["a7", "b7"]],
        )
        table = self.result()
        counts = read_table(Path("data/parts.csv"))
        assert list(counts) == ["label", "part", "images", "share", "groups"]
        assert list(counts["part"]) == ["train", "valid", "test"] * 2
        for row in counts.to_dict("records"):
            own = table[(table["label"] == row["label"]) & (table["part"] == row["part"])]
            assert int(row["images"]) == len(own)
            assert float(row["share"]) == round(len(own) / (31 if row["label"] == "a" else 29), 6)
        # The near copies under two labels count for both.
        assert counts["groups"].astype(int).sum() == 56
        summary = read_json(Path("reports/split.json"))
        parts = {part: int((table["part"] == part).sum()) for part in PARTS}
        assert summary == parts | {
            **{"images": 62, "quarantined": 2, "left_out": 0, "absent": 0},
            **{"clusters": 3, "duplicates": 7, "groups": 55},
            **{f"{what}_in_two_parts": 0 for what in ("ids", "clusters", "groups")},
        }

    @pytest.mark.parametrize(("kind", "labels"), [(draw_parts, "ab"), (draw_exactly, "abc")])
    @given(st.integers(0, 2**32), st.integers(60, 120), st.booleans())
    def test_given_parts_are_kept_and_nothing_ever_lies_in_two(
        self, kind: Callable[..., pd.Series], labels: str, seed: int, n: int, divided: bool
    ) -> None:
        draw = np.random.default_rng(seed)
        table = pd.DataFrame({"label": draw.choice([*labels], n)})
        table["part"] = draw.choice([*PARTS] if divided else ["", "", *PARTS], n)
        table["id"] = [f"i{number}" for number in draw.integers(0, 2 * n, n)]
        table["cluster"] = [f"c{number}" for number in draw.integers(0, 3 * n, n)]
        table["group"] = draw.choice([*[""] * 6, *"stuvwxyz"], n)
        table["unit"] = number_units(table)
        table["place"] = unit_positions(1, table)
        given = table["part"]
        part = assign_parts(table, pd.Series("", table.index, dtype=str), SHARES, kind)
        assert set(count_leaks(table.assign(part=part)).values()) == {0}
        kept = given.isin(["valid", "test"]) & part.isin(PARTS)
        assert (part[kept] == given[kept]).all()

    def test_leaks_are_counted(self) -> None:
        files = pd.DataFrame({"id": [*"aabbcc"], "cluster": [*"xxyzxq"]})
        files["part"] = ["train", "test", "train", "valid", "test", LEFT_OUT + "bad"]
        files["group"] = ["", "", "g", "", "", ""]
        leaks = {"ids": 2, "clusters": 1, "groups": 0}
        assert count_leaks(files) == {f"{what}_in_two_parts": n for what, n in leaks.items()}
        with pytest.raises(RuntimeError, match="the split has leaks"):
            check_leaks(files)


@settings(max_examples=40)
@given(seeds, st.integers(60, 120))
def test_ten_more_images_leave_every_other_where_it_was(seed: int, n: int) -> None:
    ids = pd.Series([f"{number:x}" for number in range(n)])
    more = pd.concat([pd.Series([f"new {number}" for number in range(10)]), ids])
    more = more.reset_index(drop=True)
    found = []
    for own in (ids, more):
        files = pd.DataFrame({"id": own, "cluster": own, "group": "", "label": "a", "part": ""})
        files["unit"] = number_units(files)
        files["place"] = unit_positions(seed, files)
        found.append(assign_parts(files, files["part"], SHARES, draw_parts))
    assert list(found[1][10:]) == list(found[0])


def test_large_units_are_drawn_like_small_ones() -> None:
    ids = pd.Series([str(number) for number in range(8000)])
    for together in (1, 8):
        clusters = (ids.astype(int) // together).astype(str)
        files = pd.DataFrame({"id": ids, "cluster": clusters, "group": ""})
        files["unit"] = number_units(files)
        place = unit_positions(1, files).drop_duplicates()
        assert len(place) == 8000 / together
        share = (place < 0.15).mean()
        assert abs(share - 0.15) < 5 * math.sqrt(0.15 * 0.85 / len(place))
