"""Outputs appear whole or not at all."""

from pathlib import Path

import pytest

from graft.common.atomic import whole, write_text


def test_all_files_appear_together(tmp_path: Path) -> None:
    one, other = tmp_path / "a/model.xml", tmp_path / "b/history.csv"
    with whole(one, tmp_path / "a/model.bin", other) as (xml, binary, table):
        assert (xml.name, binary.name, xml.parent) == ("model.xml", "model.bin", binary.parent)
        for part in (xml, binary, table):
            part.write_text(part.name)
        assert not one.exists() and not other.exists()
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"model.xml", "model.bin", "history.csv"}


def test_a_failure_leaves_the_old_files_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "one", "old")
    files = tmp_path / "one", tmp_path / "two"
    with pytest.raises(RuntimeError, match="half way"), whole(*files) as (one, _):
        one.write_text("new")
        raise RuntimeError("half way")
    assert (tmp_path / "one").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["one"]


def test_a_file_that_was_not_written_leaves_the_others_unchanged(tmp_path: Path) -> None:
    write_text(tmp_path / "one", "old")
    with pytest.raises(FileNotFoundError), whole(tmp_path / "one", tmp_path / "two") as (one, _):
        one.write_text("new")
    assert (tmp_path / "one").read_text() == "old"
