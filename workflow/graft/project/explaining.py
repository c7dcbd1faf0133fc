"""The help of a stage, by what `dvc.yaml` declares."""

from textwrap import TextWrapper

from graft.project.pipeline import PACKAGE, declarations, stage_names


def explain_stage(name: str) -> str:
    """What a stage does, reads and writes, with the files of its first key.

    It needs no valid parameters: it shows keys such as `dataset.path` and not their values.
    """
    keys = {name: f"dataset.{name}" for name in ("path", "corrections")}
    own = [stage for stage in declarations({"dataset": keys}) if stage.command.split()[1] == name]
    first = min(own, key=lambda stage: (len(stage.address), stage.address))
    arguments = "|".join(" ".join(stage.command.split()[2:]) for stage in own)
    listed = {
        "reads": [str(path) for path in first.dependencies if not path.is_relative_to(PACKAGE)],
        "writes": map(str, first.outputs),
        "parameters": (key or "all of params.yaml" for key in first.parameters),
    }
    wrapper = TextWrapper(100, subsequent_indent=" " * 12, break_long_words=False)
    lines = [
        f"usage: graft {name} {arguments}".rstrip(),
        f"\n{stage_names()[name] or name}.\n",
        *(wrapper.fill(f"{title:<11} {', '.join(names)}") for title, names in listed.items()),
        f"\nexample: {first.command}",
        f"with the stages before it, where something has changed: uv run dvc repro {first.address}",
    ]
    return "\n".join(lines)
