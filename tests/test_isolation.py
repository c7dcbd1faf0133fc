"""A stage runs in a folder that holds nothing but what it declares, and writes what it declares."""

import shutil
from pathlib import Path

import project
from graft.project import engines as bridge

# What starts every stage and adds nothing to its result, and where it reads what it is handed.
STARTER = (
    "dvc.yaml",
    "params.yaml",
    *(f"workflow/graft/{name}.py" for name in ("__init__", "__main__", "cli")),
)


def place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def files(folder: Path) -> set[Path]:
    return {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()}


def test_every_stage_runs_on_its_declared_dependencies_alone(
    tiny: project.Project, tmp_path: Path
) -> None:
    # Every stage has something to do.
    tiny.change({"augment.zoom": 0.1, "augment.copies": 1, "finetune.unfreeze": "auto"})
    for stage in bridge.declarations(tiny.values()):
        alone = project.Project(tmp_path / stage.name)
        inputs = {path for paths in stage.inputs.values() for path in paths}
        for path in {*map(Path, STARTER), *stage.code, *inputs}:
            place(tiny.folder / path, alone.folder / path)
        before = files(alone.folder)
        name, _, key = stage.name.partition("@")
        options = ["--shards", "4"] if name == "manifest" else []
        python = str(project.BIN / "python")
        alone.run(python, "-m", "graft", name, *options, *([key] if key else []))
        outputs = {path for paths in stage.outputs.values() for path in paths}
        written = {path for path in files(alone.folder) - before if path.suffix != ".pyc"}
        assert written == outputs, stage.name
        for path in outputs:
            place(alone.folder / path, tiny.folder / path)
