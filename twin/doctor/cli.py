"""`twin doctor`: the preflight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.terminal.console import print_json
from twin.terminal.options import JsonOption, StageOption

app = typer.Typer()


@app.command()
def doctor(
    stage: StageOption = "local",
    model_dir: Annotated[
        Path | None,
        typer.Option(help="Directory with the model's config.json and weights, if the hub is out of reach."),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Have CloudFormation look at the templates: change sets, made and deleted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check what would make a deployment fail, and how to fix it.

    Exit code 1 when a deployment would fail.
    """
    from twin.doctor import preflight
    from twin.doctor.view import show_findings

    findings = preflight.doctor(stage, model_dir, online=online)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        show_findings(stage, findings)
    if preflight.has_failed(findings):
        raise typer.Exit(1)
