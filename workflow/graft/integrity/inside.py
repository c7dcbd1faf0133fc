"""What stages write is in the project: both engines remove what is there before a stage runs."""

from collections.abc import Iterable
from pathlib import Path

from graft.common.errors import refuse


def check_inside(where: str, output: Path) -> None:
    """Checks the path of an output.

    Args:
        where: what names it, for errors.
        output: the path, from the folder of the project.

    Raises:
        UserError: it leads out of the project.
    """
    if output.is_absolute() or ".." in output.parts or not output.name:
        raise refuse(f"{where}: an output", "a file inside of the project", str(output))


def check_folders(outputs: Iterable[Path]) -> None:
    """Refuses a link in place of a folder of results: DVC would, once the stage has ended.

    Args:
        outputs: the files that stages write.

    Raises:
        UserError: the folder of one is a link that leads out of the project.
    """
    top = Path.cwd().resolve()
    for folder in dict.fromkeys(output.parent for output in outputs):
        if not folder.resolve().is_relative_to(top):
            raise refuse(
                str(folder),
                "a folder of the project; large files go to another disk by `dvc cache dir`",
                f"a link to {folder.resolve()}",
            )
