"""Measure the model of this project, or a model file, on other labelled photos."""

import argparse
import re
import sys
from pathlib import Path
from typing import TextIO

from graft.common.atomic import whole
from graft.common.errors import refuse
from graft.prediction import output
from graft.prediction.chosen import open_model
from graft.testing.answer_file import write_trial_csv, write_trial_lines
from graft.testing.telling import tell_trial
from graft.testing.trial import Trial, try_model
from graft.tools.options import parse_options

_FORMATS = {".csv": write_trial_csv, ".jsonl": write_trial_lines}
_DEEPEST = 24  # level of folders, as of `dataset.label`
# What options allow, as the parameters of these names do.
_LABEL = (
    f"auto, folder, a level of folders from 1 to {_DEEPEST}, the name of a column, or a regular"
    " expression"
)
_GROUP = "auto, none, the name of a column, or a regular expression"


def main(arguments: list[str]) -> None:
    """`graft test PHOTOS`: says how good the model is on them, beside what was promised.

    Ends the process with exit status 1 where some files could not be read, whatever the result is.

    Raises:
        UserError: an option, the model, or something that is given is wrong.
    """
    options = _options(arguments)
    rules = _read_label(options.label), _read_expression("--group", _GROUP, options.group)
    screen = options.output == output.STANDARD_OUTPUT
    there = [name for name in (options.output, options.html) if name and Path(name).exists()]
    with (
        open_model(options.model) as model,
        try_model(model, options.photos, rules) as trial,
    ):
        for text, command in trial.cautions:
            with_command = f"{text}: `{command}`" if command else text
            _say(f"warning: {output.one_line(with_command)}")
        if options.output:
            _write(options.output, trial)
        if options.html:
            # What draws takes a second to import.
            from graft.testing.trial_page import write_trial_page

            write_trial_page(Path(options.html), trial)
        print(tell_trial(trial), end="", file=sys.stderr if screen else sys.stdout)
        bad = bool((trial.gathered.photos["reason"] != "").any())
    for written in (None if screen else options.output, options.html):
        if written:
            _say(output.say_written(written, written in there))
    if bad:
        sys.exit(1)


def _options(arguments: list[str]) -> argparse.Namespace:
    options = parse_options("test", __doc__, arguments)
    if options.output not in (None, output.STANDARD_OUTPUT):
        output.check_output("--output", options.output, _FORMATS, [options.photos])
    if options.html:
        output.check_output("--html", options.html, (".html",), [options.photos])
    return options


def _read_label(text: str) -> str | int:
    """A rule for labels, as `dataset.label` takes it."""
    if not text.isdecimal():
        return _read_expression("--label", _LABEL, text)
    if len(text) > len(str(_DEEPEST)) or not 1 <= int(text) <= _DEEPEST:
        raise refuse("--label", _LABEL, text)
    return int(text)


def _read_expression(option: str, allowed: str, text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise refuse(option, allowed, f"{text} ({error})") from None
    if not text:
        raise refuse(option, allowed, text)
    return text


def _write(name: str, trial: Trial) -> None:
    if name == output.STANDARD_OUTPUT:
        write_trial_csv(sys.stdout, trial, None)
        return
    path = Path(name)
    with whole(path) as (part,), _open(part) as file:
        _FORMATS[path.suffix.lower()](file, trial, path)


def _open(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


def _say(text: str) -> None:
    sys.stdout.flush()
    print(f"test: {text}", file=sys.stderr)
