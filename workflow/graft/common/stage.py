"""What a stage is given: the parameters and files that `dvc.yaml` declares for it, no more."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Undeclared(LookupError):
    """A stage asked for a parameter or file that `dvc.yaml` does not declare for it: a bug.

    It is no KeyError, so that `stage.get` and `in` cannot hide it.
    """


@dataclass(frozen=True, eq=False)
class Stage(Mapping[str, Any]):
    """One stage while it runs; as a mapping, its parameters by dotted key.

    Attributes:
        address: the stage's address in DVC, such as `split` or `tensors@0`.
        options: what its command in `dvc.yaml` says besides, such as `shards` of `--shards 4`.
        parameters: plain values by dotted key, as in params.yaml.
        read: the files that it may read. A folder that other stages write into is declared as a
            whole, but is here file by file, so that files of an earlier build are not read.
        written: the files that it must write, each with the temporary path to write it to.
        scratch: a folder, which need not be there yet, for what lets the stage go on after it was
            killed; None where there is none. It is named by all that the result depends on, so
            whatever is found there belongs to this very computation.
        previous: where the files of the last run are, which `earlier` gives; None where nothing may
            be taken from them.
    """

    address: str
    options: Mapping[str, str]
    parameters: Mapping[str, Any]
    read: tuple[Path, ...]
    written: Mapping[Path, Path]
    scratch: Path | None = None
    previous: Callable[[Path], Path | None] | None = None

    @property
    def key(self) -> str:
        """The part of the address after `@`; empty for a stage without keys."""
        return self.address.partition("@")[2]

    def __getitem__(self, key: str) -> Any:
        self._require(key in self.parameters, f"the parameter {key}")
        return self.parameters[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def input(self, path: str) -> Path:
        """A declared input."""
        self._require(Path(path) in self.read, f"the input {path}")
        return Path(path)

    def inputs(self, folder: str) -> tuple[Path, ...]:
        """The declared inputs in a folder, in the order in which `dvc.yaml` declares them."""
        found = tuple(path for path in self.read if path.parent == Path(folder))
        self._require(bool(found), f"an input in {folder}")
        return found

    def output(self, path: str) -> Path:
        """Where to write a declared output: a temporary path of the same name.

        It is renamed with all others once the stage has ended well.
        """
        self._require(Path(path) in self.written, f"the output {path}")
        return self.written[Path(path)]

    def earlier(self, *paths: str) -> tuple[Path, ...] | None:
        """Declared outputs, and inputs that `dvc.yaml` lists as `by_row`, as of the last run.

        They are there only if all else that the stage depends on is as it was in that run: then
        equal rows of the inputs give equal rows of the outputs. They must not be written to.

        Returns:
            A file for each, or None where one of them is not there.
        """
        for path in map(Path, paths):
            self._require(path in self.written or path in self.read, str(path))
        found = tuple(map(self.previous, map(Path, paths))) if self.previous else (None,)
        return None if None in found else found

    def _require(self, declared: bool, what: str) -> None:
        if not declared:
            raise Undeclared(f"{self.address} does not declare {what}")
