"""Into how many shards the images are divided; results do not depend on it."""

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

from cases import read_cases
from graft.common.arrays import Stored
from graft.common.errors import UserError
from graft.common.tables import write_json
from graft.images.files import SHARD_FILES
from graft.images.sources import count_files, weigh_source
from graft.parts.rows import read_parts
from graft.project.choices import divide, read_shards, suit_number
from graft.project.pipeline import MOST_SHARDS, SHARDS, count_shards, find_leftovers
from images import classes, encoded, graft, run, run_stage, workspace, write
from packing import KINDS, pack
from project import Project, assert_fresh, assert_right, runs
from trainings import stage_here


class TestNumber:
    """How many there are."""

    @pytest.mark.parametrize("full, more, kept, number", read_cases(__file__)["numbers"])
    def test_follows_the_files(
        self, here: Path, full: int, more: int, kept: int | None, number: int
    ) -> None:
        (here / "photos.csv").write_text("a.png,a\n" * (full * SHARD_FILES + more))
        assert suit_number("photos.csv", kept) == number

    def test_of_nothing_is_one(self, here: Path) -> None:
        assert suit_number("nowhere") == 1
        (here / "broken.zip").write_bytes(b"no archive")
        assert suit_number("broken.zip") == 1

    @pytest.mark.parametrize("kind", ["", *KINDS])
    def test_files_are_counted_without_hidden_ones(self, here: Path, kind: str) -> None:
        inside = classes({"cat": 3, "dog": 2}) | {"cat/.hidden.png": b"", ".x/a.png": b""}
        if kind:
            pack(here / f"photos{kind}", inside)
        else:
            write(here / "photos", inside)
        assert count_files(f"photos{kind}") == 5

    @pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "", "٣", str(MOST_SHARDS + 1)])
    def test_a_wrong_one_is_refused(self, text: str) -> None:
        with pytest.raises(UserError, match=r"--shards must be auto, or a whole number .*Received"):
            read_shards(text)

    def test_the_file_that_says_it_must_hold_all_keys(self, here: Path) -> None:
        divide(3)
        assert count_shards() == 3
        good = SHARDS.read_text(encoding="utf-8")
        wrong = ("keys: [0, 1]", "keys: [0, 1, 3]", "keys: 3", "keys: [0, 1, 2]\n  more: 1", "[")
        for text in wrong:
            SHARDS.write_text(good.replace("keys: [0, 1, 2]", text), encoding="utf-8")
            status, out, errors = graft(here, "manifest", "--shards", "3")
            assert (status, out) == (2, "")
            assert errors.startswith("graft manifest: error: workflow/shards.yaml must be a number")
        SHARDS.unlink()
        assert "no such file" in graft(here, "manifest", "--shards", "3")[2]

    def test_use_writes_it(self, here: Path) -> None:
        write(here / "photos", classes({"cat": 3, "dog": 3}))
        divide(7)
        assert graft(here, "use", "--shards", "3") == (0, "  shards: 7 → 3\n", "")
        assert count_shards() == 3
        assert graft(here, "use", "--shards", "auto") == (0, "  shards: 3 → 1\n", "")
        before = SHARDS.read_bytes()
        assert graft(here, "use", "--shards", "1") == (0, "", "")
        status, _, errors = graft(here, "use", "photos", "--shards", "x", "--force")
        assert status == 2 and "--shards must be" in errors
        assert SHARDS.read_bytes() == before

    def test_too_few_are_said_by_the_listing(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
    ) -> None:
        write(here / "photos", classes({"cat": 5, "dog": 5}))
        run("manifest")
        assert capsys.readouterr().out == "manifest: 10 files in 2 classes\n"
        monkeypatch.setattr("graft.images.files.SHARD_FILES", 0)
        run("manifest")
        assert "; 2 a shard: `graft use --shards auto` makes more" in capsys.readouterr().out


def test_bytes_are_counted_up_to_a_limit(tmp_path: Path) -> None:
    for name, size in (("a/1.jpg", 5), ("a/2.jpg", 7), ("b/3.jpg", 11)):
        write(tmp_path / "photos", {name: bytes(size)})
    (tmp_path / "table.csv").write_bytes(bytes(3))
    (tmp_path / "photos.zip").write_bytes(bytes(19))
    found = [("photos", 23), ("photos.zip", 19), ("table.csv", 23 + 19 + 3), ("none", 0)]
    for name, size in found:
        assert weigh_source(str(tmp_path / name), 100) == size
        assert weigh_source(str(tmp_path / name), 10) == min(size, 10)


def test_a_stage_that_uses_all_cores_leaves_one_to_others_in_the_count(standins: Project) -> None:
    dry = standins.snakemake("-n", "-p", "--forceall", "--cores", "4")
    assert re.findall(r"rule features:.*?threads: (\d)", dry, re.DOTALL) == ["3"]
    assert "OMP_NUM_THREADS=4 graft features 0 " in dry and "\nShell command: graft split " in dry
    own = standins.snakemake(
        "-n", "-p", "--forceall", "--cores", "4", "--set-threads", "features=2"
    )
    assert "OMP_NUM_THREADS" not in own and "Shell command: graft features 0 " in own


def test_both_engines_follow_another_number(standins: Project) -> None:
    made, before = standins, standins.outputs()
    made.run("graft", "use", "--shards", "3")
    dry = made.snakemake("-n", "--cores", "8")
    assert sorted(re.findall(r"rule features:.*?threads: (\d)", dry, re.DOTALL)) == ["2", "3", "3"]
    # A few small images keep one core busy, and leave the others to stages beside them.
    tensors = re.findall(r"rule tensors:.*?(?:threads: (\d)|reason)", dry, re.DOTALL)
    assert len(tensors) == 3 and set(tensors) <= {"", "1"}
    made.snakemake("--cores", "2")
    with contextlib.chdir(made.folder):
        assert_right(made)
    made.commit()
    # Back to one: the others' files are no part of the data any more, and nothing runs.
    made.run("git", "checkout", "--quiet", "HEAD~1", "--", str(SHARDS), "dvc.lock")
    printed = made.snakemake()
    assert not runs(printed)
    assert made.outputs() == before
    assert not (made.folder / "data/tensors/1.npy").exists()
    assert_fresh(made)


def test_only_outputs_of_shards_are_left_over(here: Path) -> None:
    divide(2)
    kept = ("data/tensors/1.npy", "data/tensors/x.npy", "data/tensors/7.csv", "data/depth/7.npy")
    gone = ("data/tensors/7.npy", "data/checked/2.csv", "data/features/02.npy")
    write(here, dict.fromkeys([*kept, *gone], b""))
    assert sorted(map(str, find_leftovers())) == sorted(gone)


def _build(folder: Path, shards: int) -> dict[str, bytes]:
    """Builds all that depends on images alone, and a head over plain features, in a new folder."""
    folder.mkdir()
    workspace(folder, {"finetune.unfreeze": "auto", "split.seed": 3})
    divide(shards, folder)
    inside = {"b/bad.png": b"bad"}
    for number in range(66):
        fields = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        fields[..., number % 3] //= 3
        drawn, name = fields.repeat(4, 0).repeat(4, 1), f"{'abc'[number % 3]}/{number}"
        inside[f"{name}.png"] = encoded(drawn)
        if number % 11 == 0:
            inside[f"{name}.jpg"] = encoded(drawn, "JPEG", quality=80)
    write(folder / "photos", inside)
    with contextlib.chdir(folder):
        run_stage(["manifest", "--shards", str(shards)])
        Path("data/features").mkdir()
        for key in map(str, range(shards)):
            run("tensors", key)
            pixels = Stored(Path(f"data/tensors/{key}.npy"))[:]
            fields = pixels.reshape(len(pixels), 4, 8, 4, 8, 3).mean((2, 4), np.float64)
            np.save(f"data/features/{key}.npy", fields.reshape(len(pixels), 48).astype("f4"))
        run("duplicates")
        run("split")
        row = {"layer": "fields", "pooling": "avg", "width": 48, "start": 0, "layers": 1}
        Path("data/depth").mkdir()
        write_json(Path("data/depth/layer.json"), row)
        Path("data/views").mkdir()
        np.save("data/views/features.npy", np.zeros((0, 48), np.float32))
        run("cross_validation")
        run("head")
        found = sorted(path for top in ("data", "reports") for path in Path(top).rglob("*.*"))
        # TensorFlow counts the graphs of a process, and names them so in head.xml.
        other = {"checked", "tensors", "features", "manifest.csv", "head.xml"}
        made = {str(p): p.read_bytes() for p in found if p.is_file() and not other & {*p.parts}}
        parts = read_parts(stage_here("finetune"), "data/tensors").items()
        rows = {part: own[:].tobytes() + "".join(own.ids).encode() for part, own in parts}
    return made | rows


def test_results_do_not_depend_on_it(tmp_path: Path) -> None:
    one, several = (_build(tmp_path / str(shards), shards) for shards in (1, 4))
    assert {"data/models/head.keras", "data/duplicates/pairs.csv", "data/split.csv"} < set(one)
    assert b"near" in one["data/duplicates/pairs.csv"]
    assert {path for path in one if one[path] != several.get(path)} == set()
    assert list(one) == list(several)
