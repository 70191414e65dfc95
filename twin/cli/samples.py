"""`twin samples`: what the monitoring evaluation judges."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.cli.options import JsonOption, StageOption, progress
from twin.console import print_json

app = typer.Typer(no_args_is_help=True, help="The samples that the monitoring evaluation judges.")


@app.command("add")
def samples_add(
    trace_ids: Annotated[list[str], typer.Argument(help="Traces of answers.")],
    stage: StageOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Put answers into the monitoring dataset, through the same queue as sampled ones."""
    from twin import views
    from twin.commands.samples import add
    from twin.stages import connect

    added = add(connect(stage), trace_ids)
    print_json({"added": added}) if as_json else views.show_added(added)


@app.command("redrive")
def samples_redrive(stage: StageOption = "local", as_json: JsonOption = False) -> None:
    """Move the samples of the dead-letter queue back into the queue."""
    from twin import views
    from twin.commands.samples import redrive
    from twin.stages import connect

    moved = redrive(connect(stage), progress)
    print_json({"moved": moved}) if as_json else views.show_moved(moved)
