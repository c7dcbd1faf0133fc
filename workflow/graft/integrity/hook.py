"""Loads the checks into every process that runs DVC.

DVC offers no place for this. So the installed package brings the file `graft-integrity.pth`, with
which Python imports this module at each start; it waits until DVC is imported. It must stay light,
so it imports nothing that Python has not imported anyway.
"""

import sys

_AFTER = "dvc.repo"  # whatever DVC does with stages, it imports this first


class _Finder:
    """Finds nothing itself; the module after which the checks come gets another loader."""

    @classmethod
    def find_spec(cls, name: str, path: object, target: object = None) -> object:
        if name != _AFTER:
            return None
        import importlib.util

        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader = _Loading(spec.loader)
        return spec


class _Loading:
    """Another loader, and the checks once it has ended."""

    def __init__(self, loader: object) -> None:
        self._loader = loader

    def create_module(self, spec: object) -> object:
        return self._loader.create_module(spec)

    def exec_module(self, module: object) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        from graft.integrity import within_dvc

        within_dvc.install_checks()


sys.meta_path.insert(0, _Finder)
