"""Decisions and their taking back, in any order: the file says what a person would expect."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.common.errors import UserError
from graft.common.tables import read_table
from graft.serving.collection import Collection, Picture
from graft.serving.deciding import Decisions

# Names of files as they are on disks; a row needs some of them in quotes.
PATHS = ("a/1.png", 'b/"2", x.png', "b/\u202egnp.3", "c/=1+1.png", "c/copy of 1.png", "c/ .png")
IDS = {path: f"{number:032x}" for number, path in enumerate(PATHS)}
IDS["c/copy of 1.png"] = IDS["a/1.png"]
CLASSES = ("nan", "b, c", "yes")


def collect(where: Path) -> Collection:
    """A data set of the files above; only their names are known."""
    files = {id_: tuple(path for path in PATHS if IDS[path] == id_) for id_ in IDS.values()}
    facts = ("nan",), False, "train", "", None
    pictures = {id_: Picture(id_, paths, *facts) for id_, paths in files.items()}
    rest = {"background": "white", "white_level": "auto", "signs": {}, "version": "1"}
    return Collection("photos", where, classes=CLASSES, pictures=pictures, ids=IDS, **rest)


# A picture with a label, where an empty one leaves it out; or None, which takes the last back.
decided = st.tuples(st.sampled_from(sorted(set(IDS.values()))), st.sampled_from((*CLASSES, "")))
steps = st.lists(st.none() | decided, max_size=12)


@given(steps)
def test_the_file_says_the_last_decision_on_each_picture(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str] | None]
) -> None:
    where = tmp_path_factory.mktemp("said") / "corrections.csv"
    where.write_text("path,id,label,leave_out\nlost.png,,yes,\n", encoding="utf-8")
    collection, decisions = collect(where), Decisions()
    states: list[dict[str, str]] = [{}]
    for step in said:
        if step is None and len(states) > 1:
            decisions.take_back(collection)
            states.pop()
        elif step is None:
            with pytest.raises(UserError, match="nothing is left to take back"):
                decisions.take_back(collection)
        else:
            decisions.decide(collection, collection.pictures[step[0]], step[1])
            states.append(states[-1] | {step[0]: step[1]})
        assert decisions.find(collection) == states[-1]
        rows = read_table(where).to_dict("records")
        assert {row["id"]: row["label"] for row in rows if row["id"]} == states[-1]
        assert [row["path"] for row in rows if not row["id"]] == ["lost.png"]
        assert decisions.count_steps() == len(states) - 1


def test_rows_of_single_files_are_kept_apart(tmp_path: Path) -> None:
    """Two equal files may have different labels; a decision is then on both, and undo on each."""
    where = tmp_path / "corrections.csv"
    text = "path,id,label,leave_out\na/1.png,,yes,\nc/copy of 1.png,,,yes\n"
    where.write_text(text, encoding="utf-8")
    collection, decisions = collect(where), Decisions()
    picture = collection.pictures[IDS["a/1.png"]]
    assert decisions.find(collection) == {}
    decisions.decide(collection, picture, "b, c")
    assert decisions.find(collection) == {picture.id: "b, c"}
    assert len(read_table(where)) == 1
    decisions.take_back(collection)
    assert where.read_text(encoding="utf-8") == text


def test_a_contradiction_in_the_file_is_an_error(tmp_path: Path) -> None:
    where = tmp_path / "corrections.csv"
    where.write_text(f"path,id,label\na/1.png,,yes\n,{IDS['a/1.png']},nan\n", encoding="utf-8")
    collection = collect(where)
    with pytest.raises(UserError, match="must be one label"):
        Decisions().find(collection)
