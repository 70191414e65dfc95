"""`twin samples`: what the monitoring evaluation judges."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.console import console, print_json
from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer(no_args_is_help=True, help="Add and redrive samples of the monitoring evaluation.")


@app.command("add")
def samples_add(
    trace_ids: Annotated[list[str], typer.Argument(help="Traces of answers.")],
    stage: StageOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Put answers into the monitoring dataset.

    They go through the same queue as sampled ones.
    """
    from twin.evaluate.samples.samples import add
    from twin.target.stage import connect

    added = add(connect(stage), trace_ids)
    print_json({"added": added}) if as_json else _show_added(added)


@app.command("redrive")
def samples_redrive(stage: StageOption = "local", as_json: JsonOption = False) -> None:
    """Move the samples of the dead-letter queue back into the queue."""
    from twin.evaluate.samples.samples import redrive
    from twin.target.stage import connect

    moved = redrive(connect(stage), progress)
    print_json({"moved": moved}) if as_json else _show_moved(moved)


def _show_added(trace_ids: list[str]) -> None:
    console.print(f"{len(trace_ids)} on the way into the dataset: {', '.join(trace_ids)}", markup=False)


def _show_moved(moved: int) -> None:
    console.print(f"{moved} samples moved back into the queue." if moved else "The dead-letter queue is empty.")
