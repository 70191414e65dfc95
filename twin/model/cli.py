"""`twin model`: the model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.terminal.console import console, print_json
from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer(no_args_is_help=True, help="Copy the model's weights into a bucket.")


@app.command("stage")
def model_stage(
    stage: StageOption = "local",
    scratch: Annotated[
        Path | None, typer.Option(help="Folder with room for the largest file; .local/weights by default.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be uploaded.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Download the model, check it, and upload it.

    Run it again after an interruption.
    """
    from twin.model.stage_weights import stage_weights

    outcome = stage_weights(stage, progress, scratch=scratch, dry_run=dry_run)
    if as_json:
        print_json(vars(outcome))
        return
    console.print(outcome.sentence, markup=False)
    if not outcome.used:
        console.print(f'The endpoint still asks the hub: set weights = "s3" in [llm] of {stage}.', markup=False)
