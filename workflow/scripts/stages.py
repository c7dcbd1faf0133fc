"""Draw docs/stages.png: the stages of dvc.yaml, and which reads what another one has written.

    uv run python workflow/scripts/stages.py

Run it in the project's folder when dvc.yaml has another stage or another file. A stage without a
column in `COLUMNS` is on the left; its row follows from what it reads.
"""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from graft.project.parameters import read_parameters
from graft.project.pipeline import Declaration, declarations

PICTURE = Path("docs/stages.png")
# From the left.
COLUMNS = {
    "warnings": 0,
    **dict.fromkeys(("manifest", "tensors", "duplicates", "split"), 1),
    **dict.fromkeys(("cross_validation", "report"), 1),
    **dict.fromkeys(("features", "depth", "head", "evaluate@head"), 2),
    **dict.fromkeys(("backbone", "views", "finetune", "evaluate@finetuned"), 3),
}
WIDTH, HEIGHT = 0.88, 0.56  # of a box, where columns and rows are 1 apart
LONGEST = 36  # letters that fit into a box
INK, FILL, ARROW = "#1f2933", "#e8eef4", "#52667a"


def find_box(stage: Declaration) -> str:
    """The box of a stage: all shards share one."""
    name, _, key = stage.address.partition("@")
    return name if not key or key.isdecimal() else stage.address


def find_readings(stages: list[Declaration]) -> dict[str, set[str]]:
    """By box, in order: the boxes whose files it reads."""
    writers = {path: find_box(stage) for stage in stages for path in stage.outputs}
    found: dict[str, set[str]] = {}
    for stage in stages:
        read = {writers[path] for path in stage.inputs if path in writers}
        found.setdefault(find_box(stage), set()).update(read)
    return found


def reduce_readings(readings: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same without those that follow from others: of what is read, the latest."""
    before: dict[str, set[str]] = {}
    for box, read in readings.items():
        before[box] = read.union(*(before[other] for other in read))
    return {
        box: {one for one in read if not any(one in before[other] for other in read)}
        for box, read in readings.items()
    }


def place_boxes(readings: dict[str, set[str]]) -> dict[str, tuple[float, float]]:
    """The middle of each box: a row below all that it reads."""
    rows: dict[str, int] = {}
    for box, read in readings.items():
        rows[box] = max((rows[other] + 1 for other in read), default=0)
    return {box: (COLUMNS.get(box, 0), -float(row)) for box, row in rows.items()}


def name_files(stages: list[Declaration]) -> dict[str, str]:
    """By box: some of the files and folders that it writes, single files first."""
    named: dict[str, list[str]] = {}
    for stage in stages:
        paths = [path for path in stage.outputs if path.parent.name != "warnings"]
        for path in sorted(paths, key=lambda path: len(path.parts) > 2):
            shown = str(path) if len(path.parts) == 2 else f"{path.parent}/"
            named.setdefault(find_box(stage), []).append(shown)
    lines = {}
    for box, names in named.items():
        names = [*dict.fromkeys(names)]
        shown = 2 if len(", ".join(names[:2])) < LONGEST else 1
        lines[box] = ", ".join(names[:shown]) + ", …" * (len(names) > shown)
    return lines


def name_sources(stages: list[Declaration], images: str) -> dict[str, str]:
    """By box: what it reads that no stage has written.

    Args:
        stages: all of them.
        images: the path of the data set.
    """
    written = {path for stage in stages for path in stage.outputs}
    found = {}
    for stage in stages:
        for path in stage.inputs:
            if path == Path(images):
                found[find_box(stage)] = "your images"
            elif path not in written and path.parts[0] == "data":
                found[find_box(stage)] = f"{path}/"
    return found


def draw(stages: list[Declaration], images: str) -> Figure:
    """A box for each stage, with what it writes, and arrows to those that read it."""
    readings = find_readings(stages)
    places, files = place_boxes(readings), name_files(stages)
    lowest = min(y for _, y in places.values())
    figure = Figure(figsize=(9.4, 0.72 * (1.5 - lowest)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.5, 3.5), ylim=(lowest - 0.4, 1.1))
    axes.axis("off")
    for box, read in reduce_readings(readings).items():
        for other in sorted(read):
            (x, y), (left, top) = places[box], places[other]
            # Side by side, arrows that end in one box can be told apart.
            shift = 0.3 * WIDTH * max(-1.0, min(1.0, (left - x) / 2))
            axes.add_patch(_arrow((left - shift, top - HEIGHT / 2), (x + shift, y + HEIGHT / 2)))
    for box, source in name_sources(stages, images).items():
        x, y = places[box]
        axes.text(x, y + 0.95, source, ha="center", va="top", color=INK, size=9, style="italic")
        axes.add_patch(_arrow((x, y + 0.7), (x, y + HEIGHT / 2)))
    for box, (x, y) in places.items():
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        style = "round,pad=0,rounding_size=0.06"
        axes.add_patch(
            FancyBboxPatch(corner, WIDTH, HEIGHT, style, facecolor=FILL, edgecolor=ARROW)
        )
        axes.text(x, y + 0.1, box.replace("@", " "), ha="center", va="center", color=INK, size=11)
        axes.text(x, y - 0.13, files[box], ha="center", va="center", color=ARROW, size=7.5)
    return figure


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> FancyArrowPatch:
    head = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0}
    return FancyArrowPatch(start, end, color=ARROW, linewidth=1.1, **head)


def main() -> None:
    """Draws the picture of the project in the present folder."""
    values = read_parameters()
    stages = declarations(values)
    figure = draw(stages, values["dataset"]["path"])
    figure.set_dpi(150)
    FigureCanvasAgg(figure).print_png(
        PICTURE, metadata={"Software": None}, pil_kwargs={"optimize": True}
    )


if __name__ == "__main__":
    main()
