"""From the files that the manifest lists to the pixels of each shard."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from graft.common import parallel
from graft.common.errors import UserError
from graft.common.tables import read_table, read_tables
from graft.decoder import reasons
from graft.images import files
from images import SIDE, change, check, classes, encoded, listing, picture, run, write
from packing import KINDS, pack, pack_members
from readable import KNOWN, READABLE
from unreadable import UNREADABLE

CLASSES = {"cat": 3, "dog": 3}
# Their bytes are wanted once: equal files are one.
COLLECTION = {f"good/{name}": data for name, (data, _, _) in READABLE.items()}
COLLECTION |= {f"bad/{name}": data for name, (data, _) in UNREADABLE.items()}


def outputs() -> dict[str, bytes]:
    """The files of all shards, by name."""
    folders = Path("data/tensors"), Path("data/checked")
    return {path.name: path.read_bytes() for folder in folders for path in folder.iterdir()}


def listed_in(path: str) -> str:
    """Lists the files: the shard of one of them."""
    return {row["path"]: row["shard"] for row in listing()}[path]


class TestCollection:
    """Files of all kinds through manifest and tensors."""

    def test_each_is_read_right_or_has_a_reason(self, here: Path) -> None:
        write(here / "photos", COLLECTION)
        os.mkfifo(here / "photos/bad/pipe.png")
        (here / "photos/bad/nowhere.png").symlink_to("gone.png")
        (here / "photos/good/link.png").symlink_to("rgb.png")
        strange = Path(os.fsdecode(os.fsencode(here / "photos") + b"/bad/\xff.png"))
        strange.write_bytes(encoded(picture(40)))
        unread = {"bad/pipe.png": reasons.IRREGULAR, "bad/nowhere.png": reasons.MISSING}
        unread[r"bad/\xff.png"] = files.NOT_UTF8
        rows = check()
        assert set(rows) == {*COLLECTION, *unread, "good/link.png"}
        for name, (_, pixels, tolerance) in {**READABLE, "link.png": (b"", KNOWN, 0)}.items():
            row = rows[f"good/{name}"]
            assert (row["status"], row["reason"]) == ("ok", ""), name
            assert row["pixels"].dtype == np.uint8
            gap = np.abs(row["pixels"].astype(int) - pixels.astype(int)).max()
            assert gap <= tolerance, (name, gap)
            assert (row["width"], row["height"]) == (str(SIDE), str(SIDE))
        said = {f"bad/{name}": reason for name, (_, reason) in UNREADABLE.items()} | unread
        for path, reason in said.items():
            row = rows[path]
            assert row["status"] == "quarantined", path
            assert row["reason"].startswith(reason), (path, row["reason"])
            assert row["reason"] != "unreadable: ", path
            assert (row["width"], row["height"], row["phash"]) == ("0", "0", "")

    def test_archives_give_the_same_bytes(self, here: Path) -> None:
        """Of all files that the stages write, the list of them included."""
        made = {}
        for kind in ("", *KINDS):
            pack(here / f"photos{kind}", COLLECTION)
            change(here, {"dataset.path": f"photos{kind}"})
            check()
            made[kind] = {p: p.read_bytes() for p in Path("data").rglob("*") if p.is_file()}
        assert len(made[""]) == 11  # with the corrections
        assert all(files == made[""] for files in made.values())

    def test_more_cores_change_no_byte(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(here / "photos", COLLECTION)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        listing()
        run("tensors", "0")
        first = outputs()
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        monkeypatch.setattr(parallel, "_PATIENCE", 0)
        monkeypatch.setattr(parallel, "_ITEMS", 7)
        run("tensors", "0")
        assert outputs() == first

    @pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
    def test_the_fit_is_that_of_the_parameters(self, here: Path, fit: str) -> None:
        shown = np.full((20, 40, 3), 9, np.uint8)
        shown[:, :10] = shown[:, 30:] = 200
        write(here / "photos", {**classes(CLASSES, first=2), "cat/1.png": encoded(shown)})
        change(here, {"image.fit": fit, "image.side": 40})
        row = check()["cat/1.png"]
        middle, edge = row["pixels"][20], row["pixels"][2]
        assert (row["width"], row["height"]) == ("40", "20")
        assert {
            "stretch": (middle[3] > 180).all() and (edge[3] > 180).all(),
            "crop": (middle[3] < 30).all() and (edge[3] < 30).all(),
            "pad": (middle[3] > 180).all() and (edge[20] == 255).all(),
        }[fit]


class TestShards:
    """What the files of a shard are."""

    def test_its_images_are_in_order_of_the_manifest(self, here: Path) -> None:
        write(here / "photos", classes({"cat": 9, "dog": 9}))
        rows = check()
        listed = read_table(Path("data/manifest.csv"))
        for shard in "0123":
            table = read_table(Path(f"data/checked/{shard}.csv"))
            columns = ["id", "status", "reason", "width", "height", "phash", "pixels"]
            assert list(table) == columns
            assert list(table["id"]) == list(listed["id"][listed["shard"] == shard])
            assert np.load(f"data/tensors/{shard}.npy").shape == (len(table), SIDE, SIDE, 3)
        for index, label in enumerate(("cat", "dog")):
            for number in range(9):
                own = rows[f"{label}/{number}.png"]["pixels"]
                assert (own == picture(1000 * index + number)).all()

    @pytest.mark.parametrize("kind", KINDS)
    def test_their_order_in_an_archive_does_not_matter(self, here: Path, kind: str) -> None:
        inside = classes({"cat": 9, "dog": 9}) | {"cat/bad.png": b"bad"}
        made = []
        for names in (inside, reversed(inside)):
            pack(here / f"photos{kind}", {name: inside[name] for name in names})
            change(here, {"dataset.path": f"photos{kind}"})
            check()
            made.append(outputs())
        assert made[0] == made[1]

    def test_equal_files_are_decoded_once(self, here: Path) -> None:
        data = encoded(picture(33))
        equal = {"cat/1.png": data, "cat/copy.png": data, "dog/copy.png": data}
        write(here / "photos", {**classes(CLASSES, first=2), **equal})
        rows = check()
        ids = read_tables([Path(f"data/checked/{shard}.csv") for shard in "0123"])["id"]
        assert len({rows[path]["id"] for path in equal}) == 1
        assert ids.is_unique and len(ids) == len(rows) - 2

    def test_one_may_be_empty_or_all_bad(self, here: Path) -> None:
        bad = {f"{label}/{n}.png": b"%d" % n for label in CLASSES for n in range(3)}
        write(here / "photos", {**bad, "cat/known.png": encoded(KNOWN)})
        check()
        lengths = [np.load(f"data/tensors/{shard}.npy").shape for shard in "0123"]
        assert sorted(lengths) == [(0, SIDE, SIDE, 3)] * 3 + [(1, SIDE, SIDE, 3)]

    def test_the_side_is_that_of_the_parameters(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        change(here, {"image.side": 48})
        assert all(row["pixels"].shape == (48, 48, 3) for row in check().values())


class TestReplaced:
    """A file that is not the one which the manifest lists."""

    @staticmethod
    def lay(here: Path, kind: str, inside: Mapping[str, bytes]) -> None:
        """Makes the data set."""
        pack(here / f"photos{kind}", inside)
        change(here, {"dataset.path": f"photos{kind}"})

    @pytest.mark.parametrize("how", ["changed", "cut", "removed", "emptied"])
    @pytest.mark.parametrize("kind", ["", *KINDS])
    def test_is_noticed(self, here: Path, how: str, kind: str) -> None:
        inside = classes(CLASSES)
        self.lay(here, kind, inside)
        shard = listed_in("dog/1.png")
        data = inside.pop("dog/1.png")
        if how == "removed" and not kind:
            (here / "photos/dog/1.png").unlink()
        elif how != "removed":
            changed = {"changed": encoded(picture(77)), "cut": data[:-1], "emptied": b""}
            inside["dog/1.png"] = changed[how]
        self.lay(here, kind, inside)
        problem = "cannot be read any more: missing" if how == "removed" else "has changed since"
        with pytest.raises(UserError, match=rf"'dog/1\.png' {problem}.* Run the manifest again"):
            run("tensors", shard)
        assert not outputs()

    def test_by_what_is_no_file_is_noticed(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        shard = listed_in("dog/1.png")
        path = here / "photos/dog/1.png"
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(UserError, match=r"'dog/1\.png' .*: not a regular file. Run the man"):
            run("tensors", shard)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_by_two_of_its_name_is_noticed(self, here: Path) -> None:
        inside = classes(CLASSES)
        self.lay(here, ".zip", inside)
        shard = listed_in("dog/1.png")
        pack_members(here / "photos.zip", [*inside.items(), ("dog/1.png", inside["dog/1.png"])])
        with pytest.raises(UserError, match=r"'dog/1\.png' has changed since"):
            run("tensors", shard)

    def test_with_the_whole_data_set_gone_is_noticed(self, here: Path) -> None:
        self.lay(here, ".zip", classes(CLASSES))
        shard = listing()[0]["shard"]
        (here / "photos.zip").write_bytes(b"no archive")
        for change_ in (lambda: None, (here / "photos.zip").unlink):
            change_()
            with pytest.raises(UserError, match=r"dataset\.path must be "):
                run("tensors", shard)

    def test_is_noticed_by_several_cores(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(here / "photos", classes({"cat": 30, "dog": 30}))
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        monkeypatch.setattr(parallel, "_PATIENCE", 0)
        monkeypatch.setattr(parallel, "_ITEMS", 2)
        last = [row for row in listing() if row["shard"] == "0"][-1]
        write(here / "photos", {last["path"]: b"other"})
        with pytest.raises(UserError, match=r"has changed since"):
            run("tensors", "0")
        assert not outputs()
