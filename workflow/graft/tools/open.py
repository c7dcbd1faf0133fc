"""Look at the data set, try photos and correct labels, on a page in the browser."""

from collections.abc import Sequence

from graft.common.errors import UserError
from graft.project.parameters import read_parameters
from graft.tools.options import parse_options


def main(arguments: Sequence[str]) -> None:
    """Runs the command until Ctrl-C.

    Raises:
        UserError: this is no project, its parameters are wrong, the server's library is not
            installed, or the port is taken.
    """
    options = parse_options("open", __doc__, arguments)
    read_parameters()
    try:
        from graft.serving.running import serve_pages
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise UserError(
            "the page needs a small server, which is not installed: `uv run --extra open graft"
            f" open` adds it. Received: no module {error.name}"
        ) from None
    serve_pages(options.port, not options.no_browser)
