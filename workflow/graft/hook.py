"""Puts graft's checks and screen into DVC, and a clear word into a lost Snakemake.

Neither offers a place for this. So the installed package brings the file `graft-hook.pth`, with
which Python imports this module at each start; it waits until one of the two is imported. It must
stay light, so it imports nothing that Python has not imported anyway. The file then lets Python
forget the package, for what follows may be in the folder of another copy of it.
"""

import sys


class _Finder:
    """Finds nothing itself; two modules get a loader that does more once they are loaded."""

    @classmethod
    def find_spec(cls, name: str, path: object, target: object = None) -> object:
        more = _AFTER.pop(name, None)
        if more is None:
            return None
        import importlib.util

        keep_bytecode()
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader = _Loading(spec.loader, more)
        return spec


class _Loading:
    """Another loader, and what follows once it has ended."""

    def __init__(self, loader: object, more: object) -> None:
        self._loader, self._more = loader, more

    def create_module(self, spec: object) -> object:
        return self._loader.create_module(spec)

    def exec_module(self, module: object) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._more()


def keep_bytecode() -> None:
    """Lets Python keep what it has compiled, whatever PYTHONDONTWRITEBYTECODE says.

    uv installs no bytecode. Where Python may not write it, each start compiles thousands of modules
    and takes three times as long.
    """
    sys.dont_write_bytecode = False


def _after_dvc() -> None:
    from graft.integrity.within_dvc import checks

    if sys.argv[1:2] == ["repro"]:
        _say_where_to_go("dvc", "dvc.yaml")
    checks.install_checks()
    _remove_leftovers()


def _remove_leftovers() -> None:
    """Lets DVC remove the outputs of shards that are gone before it brings stages up to date."""
    from dvc.repo import Repo

    original = Repo.reproduce

    def reproduce(repo: object, *positions: object, **named: object) -> object:
        from pathlib import Path

        from graft.project import parameters, pipeline

        if Path.cwd() == Path(repo.root_dir) and pipeline.PACKAGE.is_dir():
            parameters.read_values()  # DVC writes out what aliases stand for, however much it is
            pipeline.remove_leftovers()
        return original(repo, *positions, **named)

    Repo.reproduce = reproduce


def _after_params() -> None:
    """Keeps shards and versions of libraries out of `dvc exp show` and `dvc params diff`."""
    from dvc.repo.params import show

    collect = show._collect_vars

    def collect_without(*positions: object, **named: object) -> dict[str, object]:
        found = collect(*positions, **named)
        return {path: keys for path, keys in found.items() if not path.endswith(_OWN)}

    show._collect_vars = collect_without


def _after_repro() -> None:
    if _is_dvc():  # and not `graft build`, whose lines go to a log
        from graft.scheduling.dvc_screen import show_repro

        show_repro()


def _after_experiment() -> None:
    if _is_dvc():
        from graft.scheduling.dvc_screen import show_experiment

        show_experiment()


def _is_dvc() -> bool:
    *_, folder, name = ["", *sys.argv[0].split("/")]
    return name == "dvc" or (folder, name) == ("dvc", "__main__.py")


def _after_snakemake() -> None:
    # Those who name a Snakefile or a folder, or ask for help, are where they want to be.
    if not _ELSEWHERE.intersection(word.partition("=")[0] for word in sys.argv[1:]):
        _say_where_to_go("snakemake", "Snakefile")


def _say_where_to_go(program: str, needed: str) -> None:
    import os

    if os.path.exists(needed):  # noqa: PTH110
        return
    # What is imported here may be another copy of graft than the one of the folder.
    from graft.project.pipeline import say_way_up

    if way := say_way_up():
        print(f"{program}: error: run it in the project's folder{way}", file=sys.stderr)
        sys.exit(2)


_AFTER = {
    "dvc.repo": _after_dvc,
    "dvc.repo.params.show": _after_params,
    "dvc.commands.repro": _after_repro,
    "dvc.commands.experiments.run": _after_experiment,
    "snakemake.cli": _after_snakemake,
}
_OWN = ("workflow/libraries.yaml", "workflow/shards.yaml")
_ELSEWHERE = {"-s", "--snakefile", "-d", "--directory", "-h", "--help", "-v", "--version"}

# At each import, OpenVINO would start a process that tells its maker of it. It does without.
sys.modules.setdefault("openvino_telemetry", None)

# A folder that Python finds by two names has its files read twice.
if not any(getattr(finder, "__module__", "") == __name__ for finder in sys.meta_path):
    sys.meta_path.insert(0, _Finder)
