"""Outputs that appear whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def whole(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Gives each path a temporary one beside it, and renames all once the block has ended well.

    The temporary files are in a folder of their own inside the folder of the path and keep their
    names, since Keras and OpenVINO look at suffixes and at the files beside. When the block
    raises, or the process is killed, no path is touched. A folder that a killed process left is
    ignored by git and DVC, and goes when the same files are written again.

    Args:
        paths: the files to write, in any folders; missing folders are made.

    Yields:
        The temporary path of each, in the same order.

    Raises:
        FileNotFoundError: the block has not written one of them.
    """
    with ExitStack() as stack:
        # Each folder is named by the first of the paths that are in it.
        firsts = {path.parent: path.name for path in reversed(paths)}
        folders = {parent: parent / f".part-{first}" for parent, first in firsts.items()}
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        parts = tuple(folders[path.parent] / path.name for path in paths)
        yield parts
        for part in parts:
            part.stat()  # one that was forgotten must not leave the others renamed
        for part, path in zip(parts, paths, strict=True):
            part.replace(path)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` in UTF-8 with Unix line ends, whole or not at all."""
    with whole(path) as (part,):
        part.write_text(text, encoding="utf-8", newline="\n")
