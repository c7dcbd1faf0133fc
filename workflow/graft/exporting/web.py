"""The page of an export for browsers: fixed files, which read `model.json` and the model."""

import shutil
from pathlib import Path

from graft.exporting.facts import Request

_PAGE = Path(__file__).parent / "templates/web"
_ONLY = "web"  # the format that has a page


def add_page(request: Request, folder: Path) -> tuple[str, ...]:
    """Puts the page beside the model, if it is exported for browsers.

    `package.json` and its lock file say what npm installs: ONNX Runtime for browsers, and a server
    of files, since browsers run no page of modules from a disk.

    Returns:
        The names of the files and folders that were added.
    """
    if request.kind != _ONLY:
        return ()
    shutil.copytree(_PAGE, folder, dirs_exist_ok=True)
    return tuple(sorted(path.name for path in _PAGE.iterdir()))
