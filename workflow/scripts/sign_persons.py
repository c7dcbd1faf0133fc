"""Write who is on which photo of the Sign Language Digits Dataset (arXiv:2011.08927).

    uv run python workflow/scripts/sign_persons.py data/raw/sign-digits/Dataset

The folder holds `<digit>/IMG_<number>.JPG`. The numbers run through the digits person by person, so
sorted by number, a digit that is not larger than the one before is the next person's first. The
file `labels.csv`, with the columns path, label and group, is written beside the class folders.
"""

import csv
import io
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from graft.common.atomic import write_text


def persons(paths: Iterable[str]) -> dict[str, int]:
    """The person on each photo, counted from 1.

    Args:
        paths: `<digit>/IMG_<number>.JPG`.
    """
    person, last, found = 0, 10, {}
    for path in sorted(paths, key=lambda path: int(re.search(r"(\d+)\.", path)[1])):
        digit = int(path.split("/")[0])
        if digit <= last:
            person += 1
        found[path], last = person, digit
    return found


def write(folder: Path) -> None:
    """Writes `labels.csv` into the folder of the photos.

    Raises:
        FileNotFoundError: there are no photos.
    """
    paths = [path.relative_to(folder).as_posix() for path in folder.glob("[0-9]/IMG_*.JPG")]
    if not paths:
        raise FileNotFoundError(f"no photos [0-9]/IMG_*.JPG in {folder}")
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "label", "group"])
    for path, person in persons(paths).items():
        rows.writerow([path, path.split("/")[0], f"person {person}"])
    write_text(folder / "labels.csv", text.getvalue())
    print(f"{len(paths)} photos of {len(set(persons(paths).values()))} persons")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
