"""`twin vectors`: the vector store's backups."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.console import print_json, print_table
from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer(no_args_is_help=True, help="Back up and restore the vector store.")
StoreOption = Annotated[
    str | None, typer.Option("--url", help="Another Qdrant than the stage's; its key in QDRANT_API_KEY.")
]


@app.command("backup")
def vectors_backup(
    target: Annotated[str | None, typer.Argument(help="File or s3://bucket/key; else a file named after now.")] = None,
    stage: StageOption = "local",
    url: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every collection of the vector store into one file."""
    from twin.vectors.backup import backup

    where, counts = backup(stage, target, url=url)
    if as_json:
        print_json({"backup": where, "points": counts})
    else:
        print_table(f"Backup {where}", ("collection", "points"), sorted(counts.items()))


@app.command("restore")
def vectors_restore(
    source: Annotated[str, typer.Argument(help="File or s3://bucket/key.")],
    stage: StageOption = "local",
    url: StoreOption = None,
    into: Annotated[str, typer.Option(help="Prefix of the collections' names: a copy beside what is there.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace points of the same id.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Load a backup and compare every point.

    Deletes nothing, and may be run again after an interruption.
    """
    from twin.vectors.backup import restore_from

    done = restore_from(stage, source, progress, url=url, into=into, overwrite=overwrite)
    if as_json:
        print_json([vars(each) for each in done])
    else:
        rows = [(each.collection, each.points, each.others) for each in done]
        print_table(f"Restored {source}", ("collection", "points, compared", "others there"), rows)
