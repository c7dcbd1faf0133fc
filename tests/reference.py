"""What the engines must arrive at, worked out without them."""

import hashlib
import shutil
from pathlib import Path

from graft.project import engines as bridge
from graft.project import parameters
from graft.project.pipeline import Declaration
from project import Project


class Reference:
    """Builds from nothing with no memory of names and times: each stage by its command alone.

    A stage runs in an empty folder that is given its inputs. Where two builds hand a stage the same
    bytes and parameters they share the run, so that many states of a project cost little.

    Args:
        folder: where the stages run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[str, dict[str, bytes]] = {}

    def build(self, project: Project) -> dict[str, bytes]:
        """Every declared output by path, for the parameters and images that `project` has now."""
        flat = parameters.flatten(project.values())
        made: dict[str, bytes] = {}
        for stage in bridge.declarations(project.values()):
            inputs: dict[str, bytes] = {}
            for path in (path for paths in stage.inputs.values() for path in paths):
                inputs |= _files(project.folder, path, made)
            described = stage.command, [flat[k] for k in stage.parameters], sorted(inputs.items())
            key = hashlib.sha256(repr(described).encode()).hexdigest()
            if key not in self._runs:
                self._runs[key] = self._run(project, stage, inputs, self._folder / key)
            made |= self._runs[key]
        return made

    def _run(
        self, project: Project, stage: Declaration, inputs: dict[str, bytes], folder: Path
    ) -> dict[str, bytes]:
        folder.mkdir(parents=True)
        for name in ("dvc.yaml", "params.yaml"):
            shutil.copyfile(project.folder / name, folder / name)
        for name, content in inputs.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / "data/pretrained").mkdir(parents=True, exist_ok=True)
        (folder / "workflow").symlink_to(project.folder / "workflow")
        Project(folder).run(*stage.command.split())
        outputs = [path for paths in stage.outputs.values() for path in paths]
        results = {str(path): (folder / path).read_bytes() for path in outputs}
        shutil.rmtree(folder)
        return results


def _files(folder: Path, path: Path, made: dict[str, bytes]) -> dict[str, bytes]:
    if str(path) in made:
        return {str(path): made[str(path)]}
    found = [folder / path] if (folder / path).is_file() else (folder / path).rglob("*")
    return {str(f.relative_to(folder)): f.read_bytes() for f in found if f.is_file()}
