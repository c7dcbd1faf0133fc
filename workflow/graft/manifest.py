"""List every file with its label and a hash of its bytes."""

import argparse

import pandas as pd

from graft import sources, tables
from graft.errors import UserError
from graft.progress import Progress
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes `manifest.csv`: id, path, label, group, part, shard; a row a file, in natural order.

    Group and part are empty where the source does not give them. The shard follows from the id,
    so that equal files share a shard and an added image moves no other.

    Raises:
        UserError: the source or a file in it cannot be read.
    """
    parser = argparse.ArgumentParser(prog="graft manifest")
    parser.add_argument("--shards", type=int, required=True, help="how many shards there are")
    options = parser.parse_args(arguments)
    stage = Stage("manifest", [])
    path = stage["dataset.path"]
    rows = []
    with sources.source(path) as files:
        members = sources.members(files, path)
        with Progress("manifest", len(members), "files") as progress:
            for member in members:
                try:
                    with files.open(member.path) as file:
                        id_ = sources.identity(file)
                except sources.UNREADABLE as error:
                    raise UserError(f"{member.path!r} in {path} cannot be read: {error}") from None
                shard = int(id_, 16) % options.shards
                rows.append((id_, member.path, member.label, "", member.part, shard))
                progress.advance()
    columns = ["id", "path", "label", "group", "part", "shard"]
    tables.write(stage.output("manifest_csv"), pd.DataFrame(rows, columns=columns))
