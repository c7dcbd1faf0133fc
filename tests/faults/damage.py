"""Files that are damaged, missing or swapped: results, the cache, and what the engines remember."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

from faults.bases import OTHER
from faults.moments import REPORT, Action, cached_outputs, changed_objects, recorded_runs, stored
from faults.trial import EITHER, Fault, Missed, Trial
from faults.truth import md5

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
    mode_before, content = path.stat().st_mode, path.read_bytes()
    match mode:
        case "missing":
            path.unlink()
            return
        case "swapped with another":
            if other is None:
                raise Missed("there is nothing to swap it with")
            harmed = other.read_bytes()
            _overwrite(other, content, keep_time)
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
    assert path.stat().st_mode == mode_before


def _overwrite(path: Path, content: bytes, keep_time: bool) -> None:
    found = path.stat()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(found.st_mode)
    if keep_time:
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _objects() -> Iterator[Fault]:
    cases = product(MODES, TIMES.items(), WAYS.items())
    for turn, (mode, (time, keep_time), (way, how)) in enumerate(cases, 1):
        name, cure = f"{mode}, its time {time}; {way}", EITHER[turn % 4 == 0]
        yield Fault("damaged files of the cache", name, partial(how, mode, keep_time), cure=cure)


def _deleted(mode: str, keep_time: bool, trial: Trial) -> None:
    path, second = trial.random.sample(cached_outputs(trial), 2)
    objects = [stored(trial, trial.path(name).read_bytes()) for name in (path, second)]
    trial.path(path).unlink()
    harm(trial, objects[0], mode, keep_time, objects[1])


def _go_back(mode: str, keep_time: bool, trial: Trial) -> None:
    path, other = trial.random.sample(changed_objects(trial, OTHER), 2)
    harm(trial, path, mode, keep_time, other)


def _checkout(mode: str, keep_time: bool, trial: Trial) -> None:
    _deleted(mode, keep_time, trial)
    trial.call("dvc", "checkout")


TIMES = {"kept": True, "new": False}
WAYS: dict[str, Callable[[str, bool, Trial], None]] = {
    "its output was deleted": _deleted,
    "earlier parameters return": _go_back,
    "dvc checkout": _checkout,
}


def _outputs() -> Iterator[Fault]:
    kinds = {"a file of data/": True, "a file of reports/ in git": False}
    cases = product(MODES, TIMES.items(), kinds.items())
    for turn, (mode, (time, keep_time), (kind, cached)) in enumerate(cases, 1):
        name, cure = f"{kind} {mode}, its time {time}", EITHER[turn % 3 == 0]
        yield Fault("damaged outputs", name, partial(_output, cached, mode, keep_time), cure=cure)


def _output(cached: bool, mode: str, keep_time: bool, trial: Trial) -> None:
    trial.must("dvc", "status")  # DVC now knows sizes and times of all files
    names = cached_outputs(trial)
    if not cached:
        names = sorted(set(trial.base.expect(trial.made.folder)) - set(names))
    path, other = trial.random.sample([trial.path(name) for name in names], 2)
    harm(trial, path, mode, keep_time, other)


def _records() -> Iterator[Fault]:
    for cure in EITHER:
        for mode in ("emptied", "missing", "a bit flipped", "grown"):
            yield _fault("damaged dvc.lock", mode, partial(_lock, mode), cure)
        yield _fault("damaged dvc.lock", "with a stray conflict marker", _marker, cure)
        yield _fault("damaged dvc.lock", "with two hashes swapped", _swap_hashes, cure)
        for seed in range(5):
            yield _fault("damaged dvc.lock", "cut", partial(_lock, "cut"), cure, seed)
    for mode in MODES:
        for cure in EITHER if mode in ("emptied", "swapped with another") else ["dvc"]:
            yield _fault("damaged run cache", f"entry {mode}", partial(_entry, mode), cure)


def _fault(kind: str, name: str, inject: Action, cure: str, seed: int = 0) -> Fault:
    return Fault(kind, f"{name}, then {cure}", inject, seed, cure=cure)


def _lock(mode: str, trial: Trial) -> None:
    harm(trial, trial.path("dvc.lock"), mode, keep_time=False)


def _marker(trial: Trial) -> None:
    lines = trial.path("dvc.lock").read_text(encoding="utf-8").splitlines()
    lines.insert(trial.random.randrange(len(lines)), "<<<<<<< HEAD")
    trial.path("dvc.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _swap_hashes(trial: Trial) -> None:
    path = trial.path("dvc.lock")
    text = path.read_text(encoding="utf-8")
    names = trial.random.sample(cached_outputs(trial), 2)
    first, second = (md5(trial.path(name).read_bytes()) for name in names)
    text = text.replace(first, "-").replace(second, first).replace("-\n", f"{second}\n")
    path.write_text(text, encoding="utf-8")


def _entry(mode: str, trial: Trial) -> None:
    """An entry that is needed: of the report, or of the head, with the other parameters."""
    found = recorded_runs(trial, trial.random.choice(["graft report", "graft head"]))
    if len(found) < 2:
        raise Missed("the run cache has not both entries")
    trial.ignored |= set(found)
    trial.random.shuffle(found)
    # One of the two is for the present parameters, one for those that come.
    for path in found if mode != "swapped with another" else found[:1]:
        harm(trial, path, mode, False, found[1])
    trial.edit(OTHER)


def _memories() -> Iterator[Fault]:
    kind = "damaged memories of the engines"
    for folder, files in (
        *((".graft", "**/*"), (".snakemake", "metadata/*"), (".snakemake", "locks/*")),
        *((".dvc/tmp", "rwlock"), (".dvc/tmp", "lock"), (".dvc/tmp", "btime")),
        ("../project.site", "**/*.db"),
    ):
        modes = ("emptied", "cut", "missing", "a bit flipped")
        for turn, mode in enumerate(modes if "locks" not in files else ("left behind",)):
            both = mode == "left behind" or (mode == "emptied" and "tmp" in folder)
            for cure in EITHER if both else [EITHER[turn % 2]]:
                name = f"{folder.removeprefix('../project')}/{files} {mode}"
                yield _fault(kind, name, partial(_memory, folder, files, mode), cure)
    folders = (".graft", ".snakemake", ".dvc/tmp", "logs", "../project.site")
    for folder, cure in product(folders, EITHER):
        name = f"{folder.removeprefix('../project')} missing"
        yield _fault(kind, name, partial(_without, folder), cure)


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
