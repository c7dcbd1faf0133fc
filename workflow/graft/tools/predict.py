"""Label photos with the model of this project, or with a model file."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from graft.common.atomic import whole
from graft.common.errors import refuse
from graft.common.progress import Progress
from graft.images import files
from graft.prediction import output
from graft.prediction.answers import Answer, answer_photos
from graft.prediction.chosen import ChosenModel, open_model
from graft.prediction.given import open_given
from graft.statistics.accuracy import interval_of_counts
from graft.tools.options import parse_options

_SCREEN = (None, output.STANDARD_OUTPUT)  # the values of `--output` that name no file
_FORMATS = {".csv": output.write_csv, ".jsonl": output.write_json_lines}


def main(arguments: list[str]) -> None:
    """`graft predict PHOTO…`: writes an answer for each photo.

    Ends the process with exit status 1 where some files could not be read; their answers say why.

    Raises:
        UserError: an option, the model, or something that is given is wrong.
    """
    options = _options(arguments)
    given = open_given(options.photos)
    total = bad = unsure = unknown = 0
    chosen = open_model(options.model, options.unknown)
    was_there = options.output not in _SCREEN and Path(options.output).exists()
    with chosen as model, _open_output(options, model) as (file, write):
        _say(_introduce(model))
        write = write(file, options.top, options.unsure, options.unknown)
        named = None if options.output in _SCREEN else Path(options.output)
        answers = answer_photos(model, given.files, options.top)
        # On a terminal the lines themselves say how far it is.
        silent = options.output in _SCREEN and sys.stdout.isatty()
        shown = nullcontext() if silent else Progress("predict", given.count, "photos")
        with shown as progress:
            for answer in answers:
                write(answer if named is None else _place(answer, named))
                total += 1
                bad += not answer.labels
                unsure += output.is_unsure(answer, options.unsure)
                unknown += answer.unknown
                if progress:
                    progress.advance()
    parts = [f"{total:,} photos"]
    if options.output not in _SCREEN:
        parts.append(output.say_written(options.output, was_there))
    if bad:
        parts.append(f"{bad:,} could not be read")
    if options.unsure is not None:
        parts.append(f"{unsure:,} unsure, below {options.unsure:g}: a person should look at these")
    if options.unknown:
        parts.append(f"{unknown:,} none of the classes")
    _say("; ".join(parts))
    if bad:
        sys.exit(1)


def _options(arguments: list[str]) -> argparse.Namespace:
    options = parse_options("predict", __doc__, arguments)
    if options.unsure is not None and not 0 < options.unsure <= 1:
        raise refuse("--unsure", "a number above 0 and at most 1, such as 0.9", options.unsure)
    if options.top < 1:
        raise refuse("--top", "a whole number from 1 to the number of classes", options.top)
    if options.output not in _SCREEN:
        output.check_output("--output", options.output, _FORMATS, options.photos)
    return options


@contextmanager
def _open_output(options: argparse.Namespace, model: ChosenModel) -> Iterator[tuple]:
    """Where answers go, and what writes them; a file appears once all is well."""
    classes = len(model.description.classes)
    if options.top > classes:
        allowed = f"a whole number from 1 to {classes}, the number of classes"
        raise refuse("--top", allowed, options.top)
    if options.output in _SCREEN:
        yield sys.stdout, output.write_lines if options.output is None else output.write_csv
        return
    path = Path(options.output)
    with whole(path) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        yield file, _FORMATS[path.suffix.lower()]


def _place(answer: Answer, table: Path) -> Answer:
    return answer._replace(path=output.path_from(table, answer.path))


def _introduce(model: ChosenModel) -> str:
    about = model.description
    ends = interval_of_counts(about.units)
    accuracy, low, high = map(output.show_confidence, (about.accuracy, ends.low, ends.high))
    return (
        f"{files.printable(model.name)}, {output.one_line(about.network)} at {about.side} pixels,"
        f" {len(about.classes)} classes;"
        f" accuracy on {about.n:,} test images {accuracy} ({low[:-2]}–{high})"
    )


def _say(text: str) -> None:
    sys.stdout.flush()
    print(f"predict: {text}", file=sys.stderr)
