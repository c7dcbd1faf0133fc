"""Ten photos added to many, beside the first build: up to the features."""

from collections.abc import Iterator
from functools import partial

from benchmarks.measuring import Row, find_ratio, show_times
from benchmarks.projects import Bench, make_photos
from graft.integrity.yaml12 import read_yaml_file
from graft.project.pipeline import SHARDS

_ADDED = 10


def compare_added(
    bench: Bench, count: int, name: str, side: int, wanted: float = 30
) -> Iterator[Row]:
    """Ten photos are added to `count` made-up ones; each round adds ten more.

    Args:
        bench: says how many rounds.
        count: photos of the first build.
        name: of the network, a class of `keras.applications`.
        side: of the images in pixels.
        wanted: how many times shorter it is to be.
    """
    photos = make_photos(bench.folder / f"photos-{count}-and-more", count)
    for path in photos.glob("*/*"):
        if int(path.stem) >= count:  # added for another network
            path.unlink()
    project = bench.project(photos, **{"backbone.name": name, "image.side": str(side)})
    keys = read_yaml_file(project.folder / SHARDS)["shards"]["keys"]
    build = partial(project.build, *(f"data/features/{key}.npy" for key in keys))
    first, again = [bench.time(build)], []
    for number in range(1, bench.rounds + 1):
        make_photos(photos, count + _ADDED * number)
        again.append(bench.time(build))
    nothing = [bench.time(build) for _ in range(bench.rounds)]
    yield Row(
        f"{_ADDED} photos added to {count:,}, up to the features of {name} at {side}",
        "the first build",
        find_ratio(first, again),
        wanted,
        f"{show_times(again)}, {show_times(first)}",
        note=f"with nothing to be done {show_times(nothing)}",
    )
