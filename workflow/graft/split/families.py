"""Files that belong together by their names: copies that programs make, frames of a film, bursts.

Names alone prove nothing, so that nothing is grouped by them. A person is told what they look like,
and the command that keeps them together.
"""

import re
import shlex
from collections.abc import Iterator

import pandas as pd

from graft.common.cautions import Caution
from graft.common.classes import catch

# What programs add to names, in any letters.
_WORDS = (
    "aug(?:mented|mentation)?|mirror(?:ed)?|[hv]?flip(?:ped)?|rot(?:ated?)?|turn(?:ed)?"
    "|zoom(?:ed)?|enlarged?|crop(?:ped)?|scaled?|shift(?:ed)?|shear(?:ed)?|bright(?:ness|er)?"
    "|dark(?:er)?|contrast|blur(?:red)?|nois[ey]|orig(?:inal)?|copy"
)
_CHANGE = rf"(?i:{_WORDS})[-_. ]?\d*"
_FRAME = r"(?i:frame|burst|still)"
# By the kind of family, its folder and what its names share, and what differs. The family is what
# is in brackets. YAML would read a colon before a space as a mapping.
_END = r"\.\w+$"
_KINDS = {
    "Roboflow's copies": rf"((?:[^/]*/)?[^/]+?)(?:_(?:jpe?g|png))?\.rf\.\w+{_END}",
    "changed copies": rf"((?:[^/]*/)?[^/]+?)(?:[-_. ]+{_CHANGE})*{_END}",
    "changed copies, with the change in front": rf"(?:([^/]*)/)?(?:{_CHANGE}[-_. ]+)*([^/]+){_END}",
    "frames of films, or bursts": rf"((?:[^/]*/)?[^/]*?)[-_. ]?{_FRAME}[-_. ]?\d+{_END}",
    "copies with a number": rf"((?:[^/]*/)?[^/]+?)(?:[ ]?\(\d+\))?{_END}",
    "Keras' copies": rf"((?:[^/]*/)?[^/]+?)(?:_\d+_\d+)?{_END}",
}
_NAME = rf"((?:[^/]*/)?[^/]+){_END}"
_SERIES = rf"((?:[^/]*/)?[^/]*\D)\d+{_END}"
# A suggestion must be of this fraction of the files at least, of families none of which has more
# than a quarter of them; so many families must have one label; and each class needs two.
_NOTABLE, _LARGEST, _ONE_LABEL, _A_CLASS = 0.1, 0.25, 0.9, 2
# Of the sets of near copies, so many must be within a family, before numbers make one.
_NEAR = 0.9


def suggest_families(files: pd.DataFrame) -> Iterator[Caution]:
    """A caution that names families of files, if there are any.

    Args:
        files: a row for each that may be in a part, with str path, label, group (empty where a file
            has none) and cluster, equal for near copies, and int unit, equal for files that stay
            together. Nothing is suggested where there is a group.
    """
    if (files["group"] != "").any():
        return
    for kind, expression in {**_KINDS, "series": _SERIES}.items():
        pattern = re.compile(expression)
        family = files["path"].map(lambda path, pattern=pattern: catch(pattern, path)).astype(str)
        if _is_likely(files, family) and (kind != "series" or _holds_near(files, family)):
            of_one = family[family != ""]
            sizes = of_one.groupby(of_one).transform("size")
            own = files.loc[of_one[of_one == of_one[sizes.idxmax()]].index, "path"].iloc[:2]
            yield Caution(
                f"{(sizes > 1).sum():,} of {len(files):,} files are {kind} by their names, such as"
                f" {' and '.join(map(repr, own))}, and may be in two parts. This keeps those of one"
                " family in one part",
                f"uv run graft use --set dataset.group={shlex.quote(expression)}",
            )
            return


def _is_likely(files: pd.DataFrame, family: pd.Series) -> bool:
    """Whether names are those of families, of which some are divided by now."""
    # A file without a family is one by itself.
    named = family.where(family != "", files["path"])
    sizes = named.groupby(named).transform("size")
    # Of a family some names have more than what they share. Where parts count from 1 each, the
    # same name means two pictures.
    own_name = files["path"].str.extract(_NAME)[0]
    marked = named.str.lstrip("/") != own_name
    if own_name[~marked].duplicated().any():
        return False
    several = (sizes > 1) & marked.groupby(named).transform("any")
    if several.sum() < _NOTABLE * len(files) or sizes.max() > _LARGEST * len(files):
        return False
    own = files[several].groupby(named[several])
    labelled = files["label"] != ""
    of_class = named[labelled].groupby(files["label"][labelled]).nunique()
    return bool(
        (own["label"].nunique() <= 1).mean() >= _ONE_LABEL
        and (of_class >= _A_CLASS).all()
        and (own["unit"].nunique() > 1).any()
    )


def _holds_near(files: pd.DataFrame, family: pd.Series) -> bool:
    """Whether near copies were found, and are of one family."""
    near = files[files["cluster"].duplicated(keep=False)]
    within = family[near.index].groupby(near["cluster"]).nunique() == 1
    return len(within) > 1 and within.mean() >= _NEAR
