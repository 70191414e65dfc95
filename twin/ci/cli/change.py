"""`twin ci assembly`, `licences`: steps for every change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.target.errors import TwinError
from twin.terminal.options import StageOption

app = typer.Typer()


@app.command()
def assembly(
    out: Annotated[Path, typer.Option(help="Folder to synthesize into.")],
    stage: StageOption = "dev",
) -> None:
    """Synthesize a stage into a folder of its own; needs neither credentials nor network."""
    from twin.target import cdk

    cdk.synth(stage, {}, out.resolve())


@app.command()
def licences() -> None:
    """Licences of the deployables' packages; exit 1 when one may not be passed on."""
    from twin.ci.licences import packages, report
    from twin.target.github_job import append_step_summary

    found = packages()
    table = report(found)
    print(table)
    append_step_summary(table)
    wrong = [f"{each.name} ({each.licence or 'none found'})" for each in found if not each.may_be_passed_on]
    if wrong:
        raise TwinError(f"Licences that are not in `twin.ci.licences.ALLOWED`: {', '.join(wrong)}.")
