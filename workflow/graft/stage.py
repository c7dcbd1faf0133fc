"""What a stage is handed: the parameters and files that `dvc.yaml` lists for it, no more."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graft import declared, parameters
from graft.errors import UserError


class Undeclared(LookupError):
    """A stage asked for a parameter or file that `dvc.yaml` does not list for it: a bug in graft.

    It is no KeyError, so that `stage.get` and `in` cannot hide it.
    """


class Stage(Mapping[str, Any]):
    """One stage while it runs; as a mapping, its parameters by dotted key.

    Args:
        arguments: what followed the stage's name on the command line: its key, if it has keys.
        name: the stage's name, which is its module's.

    Raises:
        UserError: params.yaml is not valid as a whole, or the key is missing or unknown.
    """

    def __init__(self, name: str, arguments: list[str]) -> None:
        if len(arguments) > 1:
            raise UserError(
                f"graft {name} takes at most one key. Received: {' '.join(arguments)!r}"
            )
        values = parameters.read()
        self.key = arguments[0] if arguments else None
        self._declaration = declared.declaration("@".join([name, *arguments]), values)
        flat = parameters.flatten(values)
        self._parameters = {key: flat[key] for key in self._declaration.parameters}

    def __getitem__(self, key: str) -> Any:
        try:
            return self._parameters[key]
        except KeyError:
            raise Undeclared(
                f"{self._declaration.name} does not declare the parameter {key}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def inputs(self, name: str) -> tuple[Path, ...]:
        """The declared dependencies of that name, such as every shard of `tensors_npy`."""
        return self._files(self._declaration.inputs, name)

    def input(self, name: str) -> Path:
        """The only declared dependency of that name."""
        return _only(self.inputs(name))

    def output(self, name: str) -> Path:
        """The only declared output of that name."""
        return _only(self._files(self._declaration.outputs, name))

    def _files(self, files: Mapping[str, tuple[Path, ...]], name: str) -> tuple[Path, ...]:
        if name not in files:
            raise Undeclared(
                f"{self._declaration.name} does not declare {name}; it has {list(files)}"
            )
        return files[name]


def _only(paths: tuple[Path, ...]) -> Path:
    (path,) = paths
    return path
