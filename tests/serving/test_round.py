"""The whole way round: labels that a build suspects are corrected, and the next build is better."""

from pathlib import Path

import pytest

import project
from graft.common.tables import read_json, read_table
from opened import Opened

pytest.importorskip("starlette", reason="needs `uv run --extra open pytest`")
pytest.importorskip("uvicorn", reason="needs `uv run --extra open pytest`")


@pytest.mark.slow
def test_corrected_labels_are_built_and_compared(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made = project.make(tmp_path / "project")
    photos = made.folder / "data/raw/tiny"
    wrong = {"b/a3.png": "a", "c/b4.png": "b", "a/c5.png": "c"}
    for name, label in wrong.items():
        (photos / label / f"{name[3]:0>2}.png").rename(photos / name)
    made.snakemake()
    made.commit()
    before = read_json(made.folder / "reports/cross_validation.json")
    assert before["label_errors"] >= 1
    server = Opened(made.start("graft", "open", "--no-browser"))
    request.addfinalizer(server.end)
    suspected = [i for i in server.ask("/api/queue").said["items"] if i["kind"] == "suspected"]
    assert set(wrong) <= {item["path"] for item in suspected}
    for item in suspected:
        label = wrong.get(item["path"], item["labels"][0])
        assert server.decide(item["id"], label).status == 200
    # It stays open while the next build is at work.
    made.snakemake()
    assert "labels changed: 3" in (made.folder / "logs/manifest.log").read_text()
    server.ask("/api/undo", {"only": "to look at the files at once"})
    state = server.ask("/api/state").said
    assert state["missing"] is None and state["waiting"] <= 1
    assert server.end() == 130
    manifest = read_table(made.folder / "data/manifest.csv").set_index("path")["label"]
    assert {path: manifest[path] for path in wrong} == wrong
    after = read_json(made.folder / "reports/cross_validation.json")
    assert after["accuracy"] > before["accuracy"]
    assert "label" in made.run("graft", "compare", "HEAD")
