"""The page of `graft compare --html`: verdicts, curves, and the photos that tell settings apart."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graft.common import atomic
from graft.common.errors import UserError, refuse
from graft.common.tables import read_table, read_tables
from graft.project.parameters import list_changes, show_value
from graft.project.pipeline import stage_keys
from graft.report.charts import Chart, padded_ends
from graft.report.page import read_asset
from graft.report.reading import MODEL_NAMES
from graft.report.thumbnails import Album, open_album
from graft.report.wording import open_page_templates
from graft.revisions.noise import say_difference
from graft.revisions.pairing import describe_shared, pair_images
from graft.revisions.settings import MODELS, Setting

COMPARISON_TEMPLATES = Path(__file__).parent / "templates"
_MEASURES = {"accuracy": "Accuracy", "log_loss": "Log loss"}
_PHOTOS = 24  # of each kind
_ROOM = 3_000_000  # characters of all pictures, in base64
_SIDES = 6  # settings whose curves can be told apart


def write_comparison(
    path: Path, pairs: Sequence[tuple[Setting, Setting]], found: Sequence[Mapping[str, Any]]
) -> None:
    """Writes the page: one file that asks for no other, and holds no script.

    Args:
        path: where to write it; `.html`.
        pairs: the setting that all are compared with, and another one, as `identify_images` gives
            them.
        found: what `compare_settings` says of each.

    Raises:
        UserError: the path is no `.html`, its folder is missing, or there are too many settings.
    """
    if path.suffix != ".html" or not path.parent.is_dir():
        raise refuse("--html", "a file .html in a folder that exists", str(path))
    if len(pairs) + 1 > _SIDES:
        raise refuse("graft compare", f"{_SIDES} revisions at most", f"{len(pairs) + 1}")
    settings = [pairs[0][0], *(new for _, new in pairs)]
    comparisons = [
        {"setting": new, "found": own, "moved": find_moved_images(old, new)}
        for (old, new), own in zip(pairs, found, strict=True)
    ]
    moved = chain.from_iterable(one["moved"].values() for one in comparisons)
    shown = [row for kinds in moved for rows in kinds for row in rows]
    album = _open_album_here({row["path"] for row in shown})
    for row in shown:
        row["picture"] = album[row["path"]] if album else None
    environment = open_page_templates(COMPARISON_TEMPLATES)
    environment.filters |= {"points": say_difference, "value": show_value}
    environment.globals["describe_shared"] = describe_shared
    text = environment.get_template("comparison.html.j2").render(
        style=read_asset("page.css"),
        settings=settings,
        names=MODEL_NAMES,
        measures=_MEASURES,
        parameters=tabulate_parameters(settings),
        comparisons=comparisons,
        curves={model: [*draw_histories(settings, model)] for model in MODELS},
        drawn={model: find_curves(settings, model) for model in MODELS},
        pictured=album is not None,
    )
    atomic.write_text(path, text)


def find_moved_images(old: Setting, new: Setting) -> dict[str, tuple[list, list]]:
    """By model, the images that only the new setting has right, and those that only the old has.

    Of images that both have, with the same label; at most 24 of each, those first whose
    probability of the true class changed most.

    Returns:
        Rows with path, label, and what the two settings said, `predicted_old` and `predicted_new`.
    """
    found = {}
    for model in MODELS:
        pairing = pair_images(old.models[model], new.models[model])
        sides = [
            side.reset_index(drop=True).add_suffix(end)
            for side, end in ((pairing.before, "_old"), (pairing.after, "_new"))
        ]
        # The paths are those of the new side, which this folder is more likely to have.
        both = pd.concat([pairing.after.index.to_frame(index=False), *sides], axis=1)
        both["change"] = (both["loss_old"] - both["loss_new"]).abs().fillna(0)
        both = both.sort_values("change", ascending=False, kind="stable")
        won, lost = both["right_new"] & ~both["right_old"], both["right_old"] & ~both["right_new"]
        found[model] = tuple(both[kind].head(_PHOTOS).to_dict("records") for kind in (won, lost))
    return found


def tabulate_parameters(settings: Sequence[Setting]) -> list[tuple[str, list[str]]]:
    """The parameters that differ, each with its value in every setting; – where there is none."""
    first, *others = sides = [setting.parameters for setting in settings]
    keys = sorted(set().union(*(list_changes(first, other) for other in others)))
    return [(key, [show_value(side.get(key, "–")) for side in sides]) for key in keys]


def find_curves(settings: Sequence[Setting], model: str) -> list[int]:
    """The numbers of the settings that have a curve: of two epochs or more.

    Args:
        settings: in the order of their colours.
        model: `head` or `finetuned`.
    """
    return [i for i, setting in enumerate(settings) if len(setting.histories[model]) > 1]


def draw_histories(settings: Sequence[Setting], model: str) -> Iterator[Chart]:
    """Accuracy and loss on validation by epoch, a line a setting; none where there are no epochs.

    Args:
        settings: in the order of their colours.
        model: `head` or `finetuned`.
    """
    tables = {i: settings[i].histories[model] for i in find_curves(settings, model)}
    if not tables:
        return
    longest = max(map(len, tables.values()))
    for column, title, shares in (("val_accuracy", "accuracy", "y"), ("val_loss", "loss", "")):
        values = np.concatenate([table[column] for table in tables.values()])
        ends = padded_ends(values, 0, 1 if shares else np.inf)
        chart = Chart("epoch", f"{title} on validation", (1, longest), ends, shares, whole=True)
        for number, table in tables.items():
            chart.line(table["epoch"], table[column], f"side{number}")
        yield chart


def _open_album_here(paths: set[str]) -> Album | None:
    """The pictures of photos that this folder has; None where it has been built by halves."""
    try:
        keys = stage_keys("tensors")
        split = read_table(Path("data/split.csv"), ["id", "path"])
        checked = read_tables([Path(f"data/checked/{key}.csv") for key in keys], ["id", "status"])
        tensors = [Path(f"data/tensors/{key}.npy") for key in keys]
        return open_album(split, checked, tensors, paths, _ROOM)
    except (UserError, OSError, ValueError, LookupError):
        return None
