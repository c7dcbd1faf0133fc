"""Files that are damaged, missing or swapped: results, the cache, and what the engines remember."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from faults.bases import OTHER
from faults.moments import REPORT, cached_outputs, stored
from faults.trial import ENGINES, Fault, Missed, Trial

MODES = ("a bit flipped", "cut", "grown", "emptied", "missing", "swapped with another")


def faults() -> Iterator[Fault]:
    """All of them."""
    yield from _objects()
    yield from _outputs()
    yield from _records()
    yield from _memories()


def harm(trial: Trial, path: Path, mode: str, keep_time: bool, other: Path | None = None) -> None:
    """Damages a file in place; its permissions stay, and its time if asked for.

    Args:
        trial: draws the place of the damage.
        path: the file.
        mode: one of `MODES`.
        keep_time: whether the file's time stays.
        other: the file to swap it with.
    """
    found = path.stat()
    content = path.read_bytes()
    match mode:
        case "missing":
            path.unlink()
            return
        case "swapped with another":
            if other is None:
                raise Missed("there is nothing to swap it with")
            _overwrite(path, other.read_bytes(), keep_time)
            _overwrite(other, content, keep_time)
            return
        case "a bit flipped":
            place = trial.random.randrange(len(content))
            flipped = bytes([content[place] ^ (1 << trial.random.randrange(7))])
            harmed = content[:place] + flipped + content[place + 1 :]
        case "cut":
            harmed = content[: trial.random.randrange(1, len(content))]
        case "grown":
            harmed = content + content[:10]
        case _:
            harmed = b""
    _overwrite(path, harmed, keep_time)
    assert path.stat().st_mode == found.st_mode


def _overwrite(path: Path, content: bytes, keep_time: bool) -> None:
    found = path.stat()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(found.st_mode)
    if keep_time:
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _objects() -> Iterator[Fault]:
    turn = 0
    for mode in MODES:
        for keep_time in (True, False):
            for way, how in WAYS.items():
                turn += 1
                yield Fault(
                    "damaged files of the cache",
                    f"{mode}, its time {'kept' if keep_time else 'new'}; {way}",
                    0,
                    partial(how, mode, keep_time),
                    cure=list(ENGINES)[turn % 4 == 0],
                )


def _deleted(mode: str, keep_time: bool, trial: Trial) -> None:
    path, second = trial.random.sample(cached_outputs(trial), 2)
    objects = [stored(trial, trial.path(name).read_bytes()) for name in (path, second)]
    trial.path(path).unlink()
    harm(trial, objects[0], mode, keep_time, objects[1])


def _go_back(mode: str, keep_time: bool, trial: Trial) -> None:
    now = trial.base.expect(trial.made.folder)
    cached = cached_outputs(trial)
    trial.edit(OTHER)
    then = trial.base.expect(trial.made.folder)
    names = [name for name in cached if then[name] != now[name]]
    objects = [stored(trial, then[name]) for name in trial.random.sample(names, 2)]
    harm(trial, objects[0], mode, keep_time, objects[1])


def _checkout(mode: str, keep_time: bool, trial: Trial) -> None:
    _deleted(mode, keep_time, trial)
    trial.call("dvc", "checkout")


WAYS: dict[str, Callable[[str, bool, Trial], None]] = {
    "its output was deleted": _deleted,
    "earlier parameters return": _go_back,
    "dvc checkout": _checkout,
}


def _outputs() -> Iterator[Fault]:
    turn = 0
    for mode in MODES:
        for keep_time in (True, False):
            for kind in ("a file of data/", "a file of reports/ in git"):
                turn += 1
                yield Fault(
                    "damaged outputs",
                    f"{kind} {mode}, its time {'kept' if keep_time else 'new'}",
                    0,
                    partial(_output, "data" in kind, mode, keep_time),
                    cure=list(ENGINES)[turn % 3 == 0],
                )


def _output(cached: bool, mode: str, keep_time: bool, trial: Trial) -> None:
    trial.must("dvc", "status")  # DVC now knows sizes and times of all files
    names = cached_outputs(trial)
    if not cached:
        names = sorted(set(trial.base.expect(trial.made.folder)) - set(names))
    path, other = trial.random.sample([trial.path(name) for name in names], 2)
    harm(trial, path, mode, keep_time, other)


def _records() -> Iterator[Fault]:
    lock = "dvc.lock"
    for engine in ENGINES:
        for mode in ("emptied", "missing", "a bit flipped", "grown"):
            yield _fault("damaged dvc.lock", mode, partial(_file, lock, mode), engine)
        yield _fault("damaged dvc.lock", "with a stray conflict marker", _marker, engine)
        yield _fault("damaged dvc.lock", "with two hashes swapped", _swap_hashes, engine)
        for seed in range(5):
            yield _fault("damaged dvc.lock", "cut", partial(_file, lock, "cut"), engine, seed)
    for mode in MODES:
        for engine in ENGINES if mode in ("emptied", "swapped with another") else ["dvc"]:
            yield _fault("damaged run cache", f"entry {mode}", partial(_entry, mode), engine)


def _fault(
    kind: str, name: str, inject: Callable[[Trial], None], cure: str, seed: int = 0
) -> Fault:
    return Fault(kind, f"{name}, then {cure}", seed, inject, cure=cure)


def _file(name: str, mode: str, trial: Trial) -> None:
    harm(trial, trial.path(name), mode, keep_time=False)


def _marker(trial: Trial) -> None:
    lines = trial.path("dvc.lock").read_text(encoding="utf-8").splitlines()
    lines.insert(trial.random.randrange(len(lines)), "<<<<<<< HEAD")
    trial.path("dvc.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _swap_hashes(trial: Trial) -> None:
    path = trial.path("dvc.lock")
    text = path.read_text(encoding="utf-8")
    one, other = trial.random.sample(
        [stored(trial, trial.path(name).read_bytes()) for name in cached_outputs(trial)], 2
    )
    first, second = (f"{object.parent.name}{object.name}" for object in (one, other))
    text = text.replace(first, "-").replace(second, first).replace("-\n", f"{second}\n")
    path.write_text(text, encoding="utf-8")


def _entry(mode: str, trial: Trial) -> None:
    """An entry that is needed: of the report, or of the head, with the other parameters."""
    command = trial.random.choice(["graft report", "graft head"])
    found = [
        path
        for path in sorted(trial.path(".dvc/cache/runs").rglob("*"))
        if path.is_file() and f"cmd: {command}\n" in path.read_text(encoding="utf-8")
    ]
    if len(found) < 2:
        raise Missed("the run cache has not both entries")
    trial.ignored |= set(found)
    trial.random.shuffle(found)
    # One of the two is for the present parameters, one for those that come.
    for path in found if mode != "swapped with another" else found[:1]:
        harm(trial, path, mode, False, found[1])
    trial.edit(OTHER)


def _memories() -> Iterator[Fault]:
    for folder, files in (
        (".graft", "**/*"),
        (".snakemake", "metadata/*"),
        (".snakemake", "locks/*"),
        (".dvc/tmp", "rwlock"),
        (".dvc/tmp", "lock"),
        (".dvc/tmp", "btime"),
        ("../project.site", "**/*.db"),
    ):
        modes = ("emptied", "cut", "missing", "a bit flipped")
        for turn, mode in enumerate(modes if "locks" not in files else ("left behind",)):
            both = mode == "left behind" or (mode == "emptied" and "tmp" in folder)
            for cure in ENGINES if both else [list(ENGINES)[turn % 2]]:
                name = f"{folder.removeprefix('../project')}/{files}"
                yield _fault(
                    "damaged memories of the engines",
                    f"{name} {mode}",
                    partial(_memory, folder, files, mode),
                    cure,
                )
    for folder in (".graft", ".snakemake", ".dvc/tmp", "logs", "../project.site"):
        for cure in ENGINES:
            yield _fault(
                "damaged memories of the engines",
                f"{folder.removeprefix('../project')} missing",
                partial(_without, folder),
                cure,
            )


def _memory(folder: str, pattern: str, mode: str, trial: Trial) -> None:
    """Every file of a kind is damaged in the same way, and the report is stale."""
    trial.must("dvc", "status")
    if mode == "left behind":
        # As Snakemake writes them: files that name what a run reads and writes.
        locks = trial.path(folder) / "locks"
        locks.mkdir(exist_ok=True)
        outputs = sorted(trial.base.expect(trial.made.folder))
        (locks / "0.input.lock").write_text("\n".join(outputs[:9]) + "\n", encoding="utf-8")
        (locks / "0.output.lock").write_text("\n".join(outputs) + "\n", encoding="utf-8")
    else:
        found = [path for path in trial.path(folder).glob(pattern) if path.is_file()]
        if not found:
            raise Missed(f"there is no {folder}/{pattern}")
        for path in found:
            if path.stat().st_size > 1 or mode in ("emptied", "missing"):
                harm(trial, path, mode, keep_time=False)
    trial.edit(REPORT)


def _without(folder: str, trial: Trial) -> None:
    trial.must("dvc", "status")
    if not trial.path(folder).exists():
        raise Missed(f"there is no {folder}")
    shutil.rmtree(trial.path(folder))
    trial.edit(REPORT)
