"""What the server of `graft open` says of a data set, and how decisions become corrections."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.common.tables import read_table
from graft.integrity.locks import BUILDING, one_at_a_time
from images import change, encoded, graft, run
from opened import (
    ASTRAY,
    BLUE,
    CLASSES,
    FIRST,
    GREEN,
    Opened,
    corrections,
    divide_anew,
    find_id,
    list_set,
    opened,
    paint,
    photos,
)

pytest.importorskip("starlette", reason="needs `uv run --extra open pytest`")
pytest.importorskip("uvicorn", reason="needs `uv run --extra open pytest`")

LOST, WIDE, CUT = f"{GREEN}/lost.png", f"{GREEN}/wide.png", f"{BLUE}/cut.png"


@pytest.fixture(scope="module")
def reader(built: Path) -> Iterator[Opened]:
    """A server that is only read from."""
    with opened(built) as running:
        yield running


def image(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def test_the_queue_has_suspected_labels_then_mistakes(built: Path, reader: Opened) -> None:
    items = reader.ask("/api/queue").said["items"]
    kinds = [item["kind"] for item in items]
    assert kinds == sorted(kinds, reverse=True) and set(kinds) == {"suspected", "mistake"}
    table = read_table(built / "reports/label_errors.csv")
    suspected = [item for item in items if item["kind"] == "suspected"]
    assert [item["path"] for item in suspected] == [*table["path"]]
    assert {item["path"] for item in suspected} == set(ASTRAY)
    for item, row in zip(suspected, table.to_dict("records"), strict=True):
        assert (item["labels"], item["looks_like"]) == ([row["label"]], row["looks_like"])
        assert item["decided"] is None
        assert item["wrong"] == (float(row["wrong"]) if row["likely"] else None)
    mistakes = [item for item in items if item["kind"] == "mistake"]
    assert {item["part"] for item in mistakes} == {"valid", "test"}
    assert {(*item["labels"], item["looks_like"]) for item in mistakes} == {(BLUE, GREEN)}


def test_the_probability_of_a_wrong_label_is_told_where_it_is_known(
    folder: Path, server: Opened
) -> None:
    path = folder / "reports/label_errors.csv"
    table = read_table(path)
    table["wrong"], table["likely"] = ["0.9", "0.25", "0.8"], ["yes", "yes", ""]
    table[table.columns[::-1]].to_csv(path, index=False)
    server.ask("/api/undo", {})  # it looks at the files at once
    items = server.ask("/api/queue").said["items"]
    assert [item["wrong"] for item in items[:3]] == [0.9, 0.25, None]


def test_pictures_are_listed_by_class_and_part(reader: Opened) -> None:
    state = reader.ask("/api/state").said
    assert [one["name"] for one in state["classes"]] == list(CLASSES)
    assert state["missing"] is None and state["model_missing"] is None and not state["building"]
    every = reader.ask("/api/pictures?count=500").said
    # The copy is no picture of its own.
    assert every["total"] == state["total"] == len(set(photos().values()))
    labels = [picture["labels"][0] for picture in every["pictures"]]
    assert labels == sorted(labels, key=CLASSES.index)
    for place, one in enumerate(state["classes"]):
        listed = reader.ask(f"/api/pictures?class={place}&count=500").said
        assert listed["total"] == one["count"] == labels.count(one["name"])
    for part, count in state["parts"].items():
        listed = reader.ask(f"/api/pictures?part={part}&count=500").said
        assert listed["total"] == len(listed["pictures"]) == count
    some = reader.ask("/api/pictures?start=7&count=3").said["pictures"]
    assert some == every["pictures"][7:10]
    copy = next(p for p in every["pictures"] if p["id"] == find_id(f"{BLUE}/copy.png"))
    assert (copy["path"], copy["files"]) == (f"{BLUE}/00.png", 2)


def test_pictures_come_small_and_whole(reader: Opened) -> None:
    small = reader.ask(f"/small/{find_id(f'{FIRST}/00.png')}")
    assert small.headers["content-type"] == "image/png"
    assert (image(small.data) == paint(0, 0)).all()
    assert "max-age" in small.headers["cache-control"]
    large = reader.ask(f"/large/{find_id(WIDE)}")
    assert large.headers["content-type"] == "image/jpeg"
    shown = image(large.data)
    assert shown.shape == (200, 300, 3)
    assert abs(shown.mean((0, 1)) - paint(2, 98, 200, 300).mean((0, 1))).max() < 2
    cut = reader.ask(f"/large/{find_id(CUT)}")
    assert cut.status == 409 and "truncated" in cut.said["error"]


@pytest.mark.parametrize("kind", [".zip", ".tar", ".tar.gz"])
def test_an_archive_is_read_in_place(tmp_path: Path, kind: str) -> None:
    list_set(tmp_path, f"photos{kind}")
    with opened(tmp_path) as server:
        large = server.ask(f"/large/{find_id(WIDE)}")
        assert image(large.data).shape == (200, 300, 3)
        # Without tensors small pictures are made of the files.
        shutil.rmtree(tmp_path / "data/tensors")
        server.ask("/api/undo", {})
        small = server.ask(f"/small/{find_id(WIDE)}")
        assert image(small.data).shape == (107, 160, 3)


def test_another_file_of_the_name_is_not_shown(folder: Path, server: Opened) -> None:
    (folder / "photos" / LOST).write_bytes(encoded(paint(0, 5)))
    answer = server.ask(f"/large/{find_id(LOST)}")
    assert answer.status == 409 and "uv run snakemake --cores all" in answer.said["error"]
    (folder / "photos" / LOST).unlink()
    assert server.ask(f"/large/{find_id(LOST)}").status == 409


def test_the_nearest_training_photos_are_of_the_colour(reader: Opened) -> None:
    near = reader.ask(f"/api/near/{find_id(LOST)}").said["near"]
    assert len(near) == 6
    assert {picture["part"] for picture in near} == {"train"}
    assert [p["labels"][0] for p in near].count(FIRST) >= 5
    similar = [picture["similarity"] for picture in near]
    assert similar == sorted(similar, reverse=True) and similar[0] <= 1
    assert find_id(LOST) not in {picture["id"] for picture in near}


# --------------------------------------------------------------------------------------------------
# Decisions.


def test_a_decision_is_written_at_once(folder: Path, server: Opened) -> None:
    first = server.decide(find_id(LOST), FIRST).said
    assert (first["picture"]["decided"], first["picture"]["waiting"]) == (FIRST, True)
    assert (first["steps"], first["waiting"]) == (1, 1)
    assert corrections(folder) == [(LOST, FIRST, "")]
    server.decide(find_id(f"{BLUE}/00.png"), "")
    kept = server.decide(find_id(f"{GREEN}/01.png"), GREEN).said
    assert kept["waiting"] == 3  # the build that is there does not know that it was looked at
    said = {(f"{BLUE}/00.png", "", "yes"), (LOST, FIRST, ""), (f"{GREEN}/01.png", GREEN, "")}
    assert set(corrections(folder)) == said
    table = read_table(folder / "data/corrections.csv").set_index("path")
    assert table.at[LOST, "id"] == find_id(LOST)
    # The next build has them all, and the copy goes with the picture.
    with chdir(folder):
        divide_anew()
        manifest = read_table(Path("data/manifest.csv")).set_index("path")
    assert manifest.at[LOST, "label"] == FIRST
    assert manifest.at[f"{BLUE}/copy.png", "label"] == ""
    server.ask("/api/undo", {})
    decided = server.ask("/api/pictures?part=decided").said
    assert [picture["waiting"] for picture in decided["pictures"]] == [False, False]


def test_decisions_are_taken_back_one_by_one(folder: Path, server: Opened) -> None:
    path = folder / "data/corrections.csv"
    note = "path,id,label,leave_out,note\n"
    path.write_text(f"{note}gone.png,,blue,,Anna\n{LOST},{find_id(LOST)},,yes,Anna\n")
    states = [path.read_bytes()]
    asked = [(LOST, FIRST), (LOST, GREEN), (f"{BLUE}/00.png", GREEN), (WIDE, GREEN)]
    for name, label in asked:
        assert server.decide(find_id(name), label).status == 200
        states.append(path.read_bytes())
    assert len(set(states)) == 5 and all(b"gone.png,,blue,,Anna" in state for state in states)
    assert b",Anna" in states[1].split(b"\n")[2]
    for (name, _), state in zip(asked[::-1], states[-2::-1], strict=True):
        assert server.ask("/api/undo", {}).said["id"] == find_id(name)
        assert path.read_bytes() == state
    answer = server.ask("/api/undo", {})
    assert (answer.status, answer.said) == (409, {"error": "nothing is left to take back"})


def test_what_another_program_has_written_since_stays(folder: Path, server: Opened) -> None:
    server.decide(find_id(LOST), FIRST)
    (folder / "list.csv").write_text(f"path,label\n{LOST},{GREEN}\n{WIDE},{BLUE}\n")
    assert graft(folder, "relabel", "list.csv")[0] == 0
    before = corrections(folder)
    answer = server.ask("/api/undo", {})
    assert answer.status == 409 and "another program" in answer.said["error"]
    assert corrections(folder) == before
    server.decide(find_id(WIDE), GREEN)
    assert set(corrections(folder)) == {(LOST, GREEN, ""), (WIDE, GREEN, "")}


def test_what_is_no_class_or_picture_is_not_written(folder: Path, server: Opened) -> None:
    path = folder / "data/corrections.csv"
    before = path.read_bytes()
    for label in ("bleu", "BLUE", "a\nb,c", "\x00", "x" * 60_000, "../blue"):
        answer = server.decide(find_id(LOST), label)
        assert answer.status == 409 and "must be a class" in answer.said["error"]
    assert "did you mean 'blue'" in server.decide(find_id(LOST), "bleu").said["error"]
    for id_ in ("", "0" * 32, LOST, f"../{LOST}"):
        assert server.decide(id_, BLUE).status == 404
    assert path.read_bytes() == before
    path.write_text("path,label\nx.png,blue,more\n,\n")
    answer = server.decide(find_id(LOST), FIRST)
    assert answer.status == 409 and "data/corrections.csv" in answer.said["error"]
    assert path.read_text().startswith("path,label\nx.png")


def test_of_decisions_at_once_none_is_lost(folder: Path, server: Opened) -> None:
    paths = [path for path in photos() if path not in (f"{BLUE}/copy.png", LOST, WIDE)]
    (folder / "list.csv").write_text(f"path,label\n{LOST},{FIRST}\n{WIDE},{BLUE}\n")
    with opened(folder) as second, ThreadPoolExecutor(8) as threads:
        listed = threads.submit(graft, folder, "relabel", "list.csv")
        work = [
            threads.submit((server, second)[place % 2].decide, find_id(path), GREEN)
            for place, path in enumerate(paths)
        ]
        assert {one.result().status for one in work} == {200}
        assert listed.result()[0] == 0
    said = {path: label for path, label, _ in corrections(folder)}
    assert said == dict.fromkeys(paths, GREEN) | {LOST: FIRST, WIDE: BLUE}


def test_a_file_that_cannot_be_written_is_told(folder: Path, server: Opened) -> None:
    path = folder / "data/corrections.csv"
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    answer = server.decide(find_id(LOST), FIRST)
    assert answer.status == 409 and "corrections.csv" in answer.said["error"]
    assert server.ask("/api/undo", {}).status == 409


# --------------------------------------------------------------------------------------------------
# A build that is at work, or was, or was not.


def test_another_build_gives_another_version(folder: Path, server: Opened) -> None:
    before = server.ask("/api/state").said
    change(folder, {"split.seed": 7})
    with chdir(folder):
        run("split")
    server.ask("/api/undo", {})
    after = server.ask("/api/state").said
    assert before["version"] != after["version"] and after["total"] == before["total"]
    split = read_table(folder / "data/split.csv").set_index("path")["part"]
    for picture in server.ask("/api/pictures?count=500").said["pictures"]:
        assert picture["part"] == split[picture["path"]]


def test_tables_of_two_states_say_nothing_wrong(folder: Path, server: Opened) -> None:
    """In the middle of a build the listing is new, and all behind it is old or gone."""
    new = encoded(paint(1, 50))
    (folder / f"photos/{BLUE}/00new.png").write_bytes(new)
    (folder / f"photos/{BLUE}/01.png").unlink()
    with chdir(folder):
        run("manifest")
    server.ask("/api/undo", {})
    listed = {p["path"]: p for p in server.ask("/api/pictures?count=500").said["pictures"]}
    assert f"{BLUE}/01.png" not in listed
    fresh = listed[f"{BLUE}/00new.png"]
    assert fresh["part"] == ""
    assert (image(server.ask(f"/small/{fresh['id']}").data) == paint(1, 50)).all()
    assert server.ask(f"/api/near/{fresh['id']}").said["near"] == []
    # Arrays of another length belong to another table.
    for path in (folder / "data/tensors").glob("*.npy"):
        np.save(path, np.zeros((1, 32, 32, 3), np.uint8))
    name = f"{BLUE}/02.png"
    assert (image(server.ask(f"/small/{find_id(name)}").data) == paint(1, 2)).all()
    for name in ("split.csv", "checked", "tensors", "features"):
        gone = folder / "data" / name
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    server.ask("/api/undo", {})
    state = server.ask("/api/state").said
    assert state["parts"]["undivided"] == state["total"]
    assert server.decide(find_id(LOST), FIRST).status == 200


def test_a_build_that_is_at_work_is_told(folder: Path, server: Opened) -> None:
    assert not server.ask("/api/state").said["building"]
    with one_at_a_time(folder / BUILDING / "head", ""):
        assert server.ask("/api/state").said["building"]
        assert server.decide(find_id(LOST), FIRST).status == 200
    assert not server.ask("/api/state").said["building"]


def test_before_a_build_it_says_how_to_make_one(tmp_path: Path) -> None:
    list_set(tmp_path)
    (tmp_path / "data/manifest.csv").unlink()
    with opened(tmp_path) as server:
        state = server.ask("/api/state").said
        assert "`uv run snakemake --cores all` makes it" in state["missing"]
        assert "`uv run snakemake --cores all` makes it" in state["model_missing"]
        for path in ("/api/queue", "/api/pictures", f"/small/{find_id(LOST)}"):
            assert server.ask(path).status == 409
        answer = server.ask("/api/try", encoded(paint(0, 1)))
        assert answer.status == 409 and "makes it" in answer.said["error"]
        with chdir(tmp_path):
            divide_anew()
        server.ask("/api/undo", {})
        assert server.ask("/api/state").said["missing"] is None


# --------------------------------------------------------------------------------------------------
# Photos of a person.


def test_a_photo_gets_the_answer_of_predict(built: Path, reader: Opened, tmp_path: Path) -> None:
    for class_, name in enumerate(CLASSES):
        data = encoded(paint(class_, 77, 90, 60), "JPEG", quality=95)
        answer = reader.ask("/api/try", data).said
        photo = tmp_path / f"{class_}.jpg"
        photo.write_bytes(data)
        status, out, errors = graft(built, "predict", str(photo), "--output", "-", "--top", "3")
        assert status == 0, errors
        row = read_table(BytesIO(out.encode())).to_dict("records")[0]
        assert answer["labels"][0]["name"] == row["label"] == name
        told = [float(row[key]) for key in ("confidence", "confidence_2", "confidence_3")]
        given = [one["confidence"] for one in answer["labels"]]
        assert np.allclose(given, told, atol=1e-5)
        # One of them is a picture of another class that looks like it.
        near = [one["labels"] for one in answer["near"]]
        assert len(near) == 6 and near.count([name]) >= 4
        assert answer["seen"].startswith("data:image/png;base64,")


def test_a_file_that_is_no_photo_is_told(reader: Opened) -> None:
    for data in (b"", b"no picture", encoded(paint(0, 0))[:-40], b"<svg xmlns='x'/>"):
        answer = reader.ask("/api/try", data)
        assert answer.status == 200 and json.loads(answer.data).keys() == {"problem"}


def test_many_photos_at_once_are_bounded(reader: Opened) -> None:
    data = encoded(paint(1, 3, 900, 900))
    with ThreadPoolExecutor(24) as threads:
        answers = [one.result() for one in [threads.submit(reader.ask, "/api/try", data)] * 24]
        work = [threads.submit(reader.ask, "/api/try", data) for _ in range(24)]
        answers += [one.result() for one in work]
    assert {answer.status for answer in answers} <= {200, 429}
    assert any(answer.status == 200 for answer in answers)
    assert reader.ask("/api/try", data).status == 200
