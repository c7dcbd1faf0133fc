"""The one label of each listed file: a table comes first, then what `dataset.label` says."""

from collections.abc import Collection, Mapping, Sequence

from graft.common.cautions import Caution
from graft.common.errors import UserError, refuse
from graft.images.sources import Source
from graft.labelling import labels
from graft.labelling.labels import BY_PARAMETERS, Asked, Label, Labelled
from graft.labelling.layout import INNERMOST
from graft.labelling.matching import match_paths
from graft.labelling.table import by_csv


def read_label_table(
    source: Source, name: str, where: str, base: str, rule: str | int, asked: Asked = BY_PARAMETERS
) -> Labelled:
    """What a CSV of the source says of each path that it lists.

    Args:
        source: where it lies.
        name: its path there.
        where: what it is called in errors.
        base: the folder that its paths start from.
        rule: the value of `dataset.label`.
        asked: what messages call that.

    Raises:
        UserError: it cannot be read, or is no table of labels.
    """
    file = next(source.files([name]))
    if file.data is None:
        raise UserError(f"{where!r} cannot be read: {file.problem}")
    return Labelled(by_csv(file.data, where, base, rule, asked), [])


def locate(
    table: Mapping[str, Label], gone: Collection[str], there: Collection[str], where: str
) -> Labelled:
    """A table whose paths are those of files, where other writings of them were meant.

    Args:
        table: what is said of each path.
        gone: those of its paths at which there is no file.
        there: the paths of all files that may be meant.
        where: what the table is called.

    Raises:
        UserError: not one path leads to a file.
    """
    found = match_paths(gone, there)
    cautions = []
    if found:
        path, file = next(iter(found.items()))
        cautions.append(
            Caution(
                f"{len(found):,} of {len(table):,} paths in {where} are written otherwise than"
                f" their files, such as {path!r} for {file!r}"
            )
        )
    lost = [path for path in table if path in gone and path not in found]
    if lost:
        text = f"{len(lost):,} of {len(table):,} paths in {where} do not exist, such as {lost[0]!r}"
        example = next((path for path in sorted(there) if path not in found.values()), None)
        beside = f"; files there are such as {example!r}" if example is not None else ""
        if len(lost) == len(table):
            raise refuse(where, "a table of files that there are", f"{text}{beside}")
        cautions.append(Caution(text + beside))
    return Labelled({found.get(path, path): said for path, said in table.items()}, cautions)


def label_files(
    table: Labelled | None,
    paths: Collection[str],
    pictures: Collection[str],
    rule: str | int,
    asked: Asked = BY_PARAMETERS,
) -> Labelled:
    """The label of each file that has one.

    Args:
        table: what a CSV says, if there is one.
        paths: of all files, with `/` between the parts.
        pictures: those of them that are pictures.
        rule: the value of `dataset.label`.
        asked: what messages call that.

    Raises:
        UserError: folders may be read in two ways, or an expression matches no path.
    """
    if table is not None and all(said.label for said in table.labels.values()):
        return table
    known: Sequence[str] = list(table.labels if table else paths)
    by_path = rule in (labels.AUTOMATIC, INNERMOST) or isinstance(rule, int)
    find = labels.by_folders if by_path else labels.by_expression
    found = find(known, [path for path in known if path in pictures], rule, asked)
    if table is None:
        return found
    # The table says all but the label.
    said = {
        path: Label(
            one.label, table.labels[path].part, table.labels[path].group, table.labels[path].more
        )
        for path, one in found.labels.items()
    }
    return Labelled(said, [*table.cautions, *found.cautions])
