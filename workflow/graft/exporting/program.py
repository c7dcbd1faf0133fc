"""The texts of an export, from templates: `use.py` is a short program that needs no graft."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graft.exporting.formats import FORMATS
from graft.models.description import ModelDescription

_TEMPLATES = Path(__file__).parent / "templates"


def open_templates(folder: Path = _TEMPLATES) -> Environment:
    """The templates of plain texts. What is put in stays as it is: these are no pages.

    Args:
        folder: where they are; those of an export without it.
    """
    return Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def write_program(kind: str, description: ModelDescription) -> str:
    """The text of a program that prints the class of a photo and its probability.

    Of pictures that are not 8-bit grey or colour it reads less than graft does.

    Args:
        kind: of FORMATS.
        description: of the model: side and fit.
    """
    template = open_templates().get_template("use.py.j2")
    packages = needed_packages(kind)
    return template.render(kind=kind, packages=packages, side=description.side, fit=description.fit)


def needed_packages(kind: str) -> list[str]:
    """The packages that the program needs, as they are installed."""
    runtime = ["keras", "tensorflow"] if kind == "keras" else [FORMATS[kind].runtime]
    return ["numpy", "pillow", *runtime]
