"""Write the features of photos, from which the head has learned, for search and clustering."""

import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from graft.common.arrays import Growing
from graft.common.atomic import whole
from graft.common.errors import refuse
from graft.common.progress import Progress
from graft.images.files import printable
from graft.prediction.answers import rate_photos
from graft.prediction.chosen import open_model
from graft.prediction.given import open_given
from graft.prediction.output import check_place, path_from
from graft.tools.options import parse_options

_ENDS = (".npy", ".csv")
_Write = Callable[[str, np.ndarray], None]


def main(arguments: list[str]) -> None:
    """`graft embed PHOTO…`: writes a row of features for each photo that can be read.

    Ends the process with exit status 1 where some could not be read; they are named.

    Raises:
        UserError: the output, the network, or something that is given is wrong.
    """
    options = parse_options("embed", __doc__, arguments)
    output = _check_output(options.output)
    given = open_given(options.photos)
    done, bad = 0, []
    with open_model("head") as model:
        network = model._replace(steps=model.steps[:1])
        width = model.steps[0].columns.stop - model.steps[0].columns.start
        with (
            _open_output(output, width) as write,
            Progress("embed", given.count, "photos") as progress,
        ):
            for path, features, reason in rate_photos(network, given.files):
                if features is None:
                    bad.append(f"{path}: {reason}")
                else:
                    write(path, features)
                    done += 1
                progress.advance()
    print(f"embed: {done:,} photos, {width:,} features each: {printable(str(output))}")
    for text in bad:
        print(f"embed: cannot be read: {text}", file=sys.stderr)
    if bad:
        sys.exit(1)


def _check_output(name: str) -> Path:
    path = Path(name)
    if path.suffix not in _ENDS:  # in small letters, or a table would lie beside itself
        raise refuse("--output", f"a file {' or '.join(_ENDS)}", printable(name))
    check_place("--output", name, _ENDS)
    for taken in (path, path.with_suffix(".csv")):
        if os.path.lexists(taken):
            raise refuse("--output", "a new file", f"{printable(str(taken))}, which is there")
    return path


@contextmanager
def _open_output(path: Path, width: int) -> Iterator[_Write]:
    """What writes a photo's row. The files appear once all is well.

    An array has no room for paths: they are in a table beside it, in the order of its rows.
    """
    beside = path.with_suffix(".csv")
    with ExitStack() as stack:
        parts = stack.enter_context(whole(*dict.fromkeys((path, beside))))
        file = stack.enter_context(parts[-1].open("w", encoding="utf-8", newline=""))
        # Names with any line end are quoted so, and numbers are not.
        table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        names = [f"feature_{number}" for number in range(width)]
        as_text = path == beside
        table.writerow(["path", *names] if as_text else ["path"])
        array = None if as_text else stack.enter_context(Growing(parts[0], np.float32, (width,)))

        def write(name: str, features: np.ndarray) -> None:
            # The shortest text that is this number in float32.
            numbers = [float(str(value)) for value in features] if as_text else []
            table.writerow([path_from(beside, name), *numbers])
            if array is not None:
                array.add(features[None])

        yield write
