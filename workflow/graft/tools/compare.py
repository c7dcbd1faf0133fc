"""Compare two settings: what differs, and whether that exceeds the noise."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.common.errors import refuse
from graft.common.numbers import say_percent
from graft.project.parameters import show_value
from graft.revisions.git import check_repository
from graft.revisions.noise import say_difference
from graft.revisions.pairing import describe_shared, identify_images
from graft.revisions.settings import read_setting
from graft.revisions.verdicts import VERDICT_WORDS, compare_settings
from graft.tools.options import parse_options

_TEMPLATES = Path(__file__).parent / "templates"


def main(arguments: list[str]) -> None:
    """`graft compare [OLD [NEW …]]`: prints what differs between settings and their results.

    Raises:
        UserError: the folder is in no git repository, a revision is unknown, or results are
            missing or broken.
    """
    options = parse_options("compare", __doc__, arguments)
    check_repository()
    if options.more and not options.html:
        raise refuse("graft compare", "two revisions, or more with --html", options.more[0])
    part = "test" if options.test else "validation"
    names = [options.old, options.new, *options.more]
    first, *others = (read_setting(name, part) for name in names)
    pairs = [identify_images(first, other) for other in others]
    found = [compare_settings(old, new) for old, new in pairs]
    if options.html:
        # What draws takes a second to import.
        from graft.revisions.comparison import write_comparison

        write_comparison(options.html, pairs, found)
        print(f"The comparison is in {options.html}.")
    elif options.json:
        print(json.dumps(found[0], indent=1, default=str))
    else:
        print(describe_comparison(found[0]), end="")


def describe_comparison(found: Mapping[str, Any]) -> str:
    """A comparison for people; differences in percentage points.

    Args:
        found: from `compare_settings`.
    """
    from graft.exporting.texts import open_templates

    environment = open_templates(_TEMPLATES)
    environment.filters |= {"change": say_difference, "percent": say_percent, "value": show_value}
    environment.globals["describe_shared"] = describe_shared
    template = environment.get_template("comparison.txt.j2")
    return template.render(found=found, words=VERDICT_WORDS)
