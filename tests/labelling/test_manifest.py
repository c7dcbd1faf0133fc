"""Which files of a folder are listed, and as what."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.common.classes import natural, normal
from graft.common.errors import UserError
from graft.decoder import reasons
from graft.images import files
from graft.images.sources import check_folder
from images import ODD, change, classes, encoded, graft, listing, nothing_made, picture, write

CLASSES = {"cat": 3, "dog": 3}
# What people call parts.
NAMES = ("train validation test_set", "Training VAL Testing")
NAMES += ("training_set valid_set test", "TRAIN_SET val_set testing_set")


def test_a_row_says_what_a_file_is(here: Path) -> None:
    write(here / "photos", classes(CLASSES))
    rows = listing()
    paths = [f"{label}/{n}.png" for label in CLASSES for n in range(3)]
    assert [row["path"] for row in rows] == paths
    assert list(rows[0]) == ["id", "path", "label", "by_hand", "group", "part", "shard", "reason"]
    for row in rows:
        data = (here / "photos" / row["path"]).read_bytes()
        assert row["id"] == files.identity(data)
        assert row["shard"] == str(int(row["id"], 16) % 4)
        assert (row["label"], row["group"], row["part"]) == (row["path"][:3], "", "")
        assert row["reason"] == ""


def test_an_id_is_known_for_ever() -> None:
    # Splits and stored features depend on it.
    assert files.identity(b"graft") == "4227bc05e5aca479ac8755a56b782119"


@pytest.mark.parametrize("wrap", ["photos/", "a/b/"])
def test_a_folder_around_the_classes_is_looked_through(here: Path, wrap: str) -> None:
    files = {wrap + name: data for name, data in classes(CLASSES).items()}
    write(here / "photos", {**files, f"{wrap}README.txt": b"about", "LICENSE": b"law"})
    rows = listing()
    assert [(row["path"], row["label"]) for row in rows] == [(n, n[-9:-6]) for n in files]


class TestParts:
    """Data sets that come divided."""

    @staticmethod
    def divided(*parts: str) -> dict[str, bytes]:
        """Other files of the same classes in each part."""
        return {
            f"{part}/{name}": data
            for index, part in enumerate(parts)
            for name, data in classes(CLASSES, first=10 * index).items()
        }

    @pytest.mark.parametrize("wrap", ["", "archive/"])
    @pytest.mark.parametrize("names", NAMES)
    def test_a_divided_data_set_keeps_its_parts(self, here: Path, wrap: str, names: str) -> None:
        files = self.divided(*(wrap + part for part in names.split()))
        write(here / "photos", files)
        rows = {row["path"]: row for row in listing()}
        assert set(rows) == set(files)
        parts = dict(zip(names.split(), ("train", "valid", "test"), strict=True))
        for path, row in rows.items():
            part, label, _ = path.removeprefix(wrap).split("/")
            assert (row["part"], row["label"]) == (parts[part], label)

    def test_a_part_may_be_missing_and_something_else_lie_beside(self, here: Path) -> None:
        files = self.divided("training_set", "test_set")
        beside = ("more/deep/er/1", "test_set/1.png", "README")
        beside += ("single_prediction/1.png", "single_prediction/cat/1.png")
        write(here / "photos", files | dict.fromkeys(beside, b""))
        rows = listing()
        assert {row["path"] for row in rows} == set(files)
        assert {row["part"] for row in rows} == {"train", "test"}

    @pytest.mark.parametrize("names", [("train", "bus"), ("train", "training"), ("test", "a", "b")])
    def test_classes_called_like_a_part_are_classes_beside_another(
        self, here: Path, names: tuple[str, ...]
    ) -> None:
        write(here / "photos", classes(dict.fromkeys(names, 2)))
        assert {(row["label"], row["part"]) for row in listing()} == {(name, "") for name in names}

    def test_any_class_may_lie_in_a_part(self, here: Path) -> None:
        labels = [*ODD, "test", "valid"]
        write(here / "photos", {f"{a}/{b}/{a}.png": b"" for a in ("train", "test") for b in labels})
        expected = {(part, normal(label)) for part in ("train", "test") for label in labels}
        assert {(row["part"], row["label"]) for row in listing()} == expected


class TestNames:
    """Names are data."""

    def test_of_classes_and_files(self, here: Path) -> None:
        files = {f"{label}/{name}": b"" for label in ODD for name in ODD[:5]}
        files |= {f"{ODD[0]}/{name}": b"" for name in ODD}
        write(here / "photos", files)
        rows = listing()
        known = {name: normal(name.split("/")[0]) for name in files}
        assert {row["path"]: row["label"] for row in rows} == known
        assert {row["reason"] for row in rows} == {""}

    def test_that_are_no_text_are_shown_and_set_aside(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        odd = (b"cat/\xff.png", b"\xe9t\xe9/1.png", b"cat/\xea\xb3.png")
        write(here / "photos", {os.fsdecode(name): b"" for name in odd})
        rows = {row["path"]: row for row in listing()}
        for shown in (r"cat/\xff.png", r"\xe9t\xe9/1.png", r"cat/\xea\xb3.png"):
            assert rows[shown]["label"] == shown.split("/")[0]
            assert rows[shown]["reason"] == "name is not UTF-8"
        assert len(rows) == 9

    def test_hidden_files_and_those_beside_the_classes_are_left_alone(self, here: Path) -> None:
        files = classes(CLASSES)
        junk = ("cat/.DS_Store", ".git/HEAD", "__MACOSX/cat/._1.png", ".hidden/a.png", "LICENSE")
        junk += ("cat/Thumbs.db", "dog/desktop.ini", "dog/.hidden/1.png")
        write(here / "photos", files | dict.fromkeys(junk, b"junk"))
        assert {row["path"] for row in listing()} == set(files)

    def test_files_below_a_class_belong_to_it_however_deep(self, here: Path) -> None:
        write(here / "photos", {**classes(CLASSES), "cat/of/others/1.png": encoded(picture(50))})
        assert {row["path"]: row["label"] for row in listing()}["cat/of/others/1.png"] == "cat"

    def test_order_is_as_people_count(self, here: Path) -> None:
        names = ["2/a.png", "10/9.png", "10/10.png", "10/10b.png", "10/b.png", "b/1.png"]
        write(here / "photos", {name: name.encode() for name in reversed(names)})
        assert [row["path"] for row in listing()] == names

    @given(st.lists(st.text(max_size=8) | st.from_regex("a?0*[0-9]{1,3}b?", fullmatch=True)))
    def test_every_order_is_total(self, names: list[str]) -> None:
        keys = {name: natural(name) for name in names}
        assert len({str(key) for key in keys.values()}) == len(keys)
        sorted(names, key=natural)

    @given(st.lists(st.integers(0, 10**9).map(str)))
    def test_numbers_are_in_order_of_their_size(self, names: list[str]) -> None:
        assert sorted(names, key=natural) == sorted(names, key=int)

    def test_a_number_may_have_any_length(self) -> None:
        names = ["1" * 5000, "2", "9" * 4999]
        assert sorted(names, key=natural) == [names[1], names[2], names[0]]


class TestFilesThatAreNone:
    """What is among files and cannot be read."""

    def test_they_are_set_aside_and_why(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reasons, "LARGEST_FILE", 10_000)
        good = classes(CLASSES)
        write(here / "photos", good | {"dog/large.png": bytes(10_001), "dog/x.jpg/1.png": b"1"})
        write(here, {"outside.png": encoded(picture(9))})
        cat = here / "photos/cat"
        links = {"nowhere": "gone.png", "round": "round.png", "link": "../../outside.png"}
        for name, target in (links | {"device": "/dev/zero", "folder": "/dev/null"}).items():
            (cat / f"{name}.png").symlink_to(target)
        os.mkfifo(cat / "pipe.png")
        rows = {row["path"]: row for row in listing()}
        found = {path: row["reason"] for path, row in rows.items() if row["reason"]}
        assert found == {
            "cat/device.png": "not a regular file",
            "cat/folder.png": "not a regular file",
            "cat/nowhere.png": "missing",
            "cat/pipe.png": "not a regular file",
            "cat/round.png": "unreadable: Too many levels of symbolic links",
            "dog/large.png": reasons.TOO_LARGE,
        }
        assert set(rows) == {*good, *found, "cat/link.png", "dog/x.jpg/1.png"}
        assert rows["cat/link.png"]["id"] == files.identity((here / "outside.png").read_bytes())
        assert len({row["id"] for row in rows.values()}) == len(rows)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_permissions(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        (here / "photos/cat/0.png").chmod(0)
        found = {row["path"]: row["reason"] for row in listing()}
        assert found["cat/0.png"] == "unreadable: Permission denied"
        (here / "photos/cat").chmod(0)
        with pytest.raises(UserError, match=r"cannot be listed: Permission denied"):
            listing()

    def test_a_link_to_a_folder_is_an_error(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        (here / "photos/more").symlink_to("cat")
        with pytest.raises(UserError, match=r"photos/more must be a folder: .* Received: 'a link"):
            listing()

    def test_the_id_of_one_depends_on_no_other(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        (here / "photos/dog/nowhere.png").symlink_to("gone")
        before = {row["path"]: row["id"] for row in listing()}
        (here / "photos/cat/nowhere.png").symlink_to("gone")
        after = {row["path"]: row["id"] for row in listing()}
        assert after.items() > before.items()


@pytest.mark.parametrize(
    "files",
    [{}, {"1.png": b""}, {".cat/1.png": b""}, {"train/1.png": b"", "test/1.png": b""}],
    ids=["empty", "no classes", "hidden", "no classes in parts"],
)
def test_nothing_to_learn_from_is_an_error(here: Path, files: Mapping[str, bytes]) -> None:
    (here / "photos").mkdir()
    write(here / "photos", files)
    with pytest.raises(UserError, match=r"dataset\.path must be .*\. Received: 'photos'"):
        listing()
    assert nothing_made()


@pytest.mark.parametrize("path", ["none", "x" * 5000, "a\0b", "pipe", "round", "photos.csv", "\n"])
def test_what_is_no_source_is_one_message(here: Path, path: str) -> None:
    os.mkfifo(here / "pipe")
    (here / "round").symlink_to("round")
    (here / "photos.csv").mkdir()
    change(here, {"dataset.path": path})
    status, out, errors = graft(here, "manifest", "--shards", "4")
    assert (status, out) == (2, "") and "Traceback" not in errors
    assert "dataset.path must be " in errors and "Received: " in errors
    assert nothing_made()


class TestFolder:
    """What DVC could not read is found before it is asked."""

    def test_pictures_and_links_to_them_are_fine(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        (here / "photos/cat/link.png").symlink_to(here / "photos/cat/0.png")
        check_folder("photos")
        check_folder("photos/cat/0.png")

    @pytest.mark.parametrize("kind", ["link", "pipe", "name", "hidden"])
    def test_what_stops_dvc_is_one_error(self, here: Path, kind: str) -> None:
        write(here / "photos", classes(CLASSES))
        place = here / "photos/cat" / (".odd" if kind == "hidden" else "odd")
        if kind == "pipe":
            os.mkfifo(place)
        elif kind == "name":
            place = place.with_name(os.fsdecode(b"odd\xff"))
            place.touch()
        else:
            place.symlink_to("nowhere")
        problems = {"pipe": "not a regular file", "name": "name is not UTF-8"}
        problem = problems.get(kind, "a link to nothing")
        with pytest.raises(UserError, match=rf"odd.* must be a file, .* Received: '{problem}'"):
            check_folder("photos")
