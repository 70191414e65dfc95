"""`twin cost`: the price of a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer()


@app.command()
def cost(
    stage: StageOption = "local",
    assembly: Annotated[Path | None, typer.Option(help="A cdk.out to price instead of synthesizing the stage.")] = None,
    base: Annotated[Path | None, typer.Option("--diff", help="A cdk.out to compare with.")] = None,
    assume: Annotated[list[str] | None, typer.Option(help="An assumption, name=value; repeatable.")] = None,
    refresh_prices: Annotated[bool, typer.Option(help="Fetch prices from AWS first; needs credentials.")] = False,
    markdown: Annotated[bool, typer.Option(help="Markdown, for a pull request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate what a stage costs.

    Per resource: idle, in office hours, at full load, and per 1,000 answers.
    """
    from twin.cost import stage_cost, view

    found = stage_cost.templates(stage, assembly)
    if refresh_prices:
        view.show_refresh(stage_cost.refresh_prices(found, progress))
    if base is not None:
        view.show_cost_diff(stage_cost.compare(base, found, assume or ()), markdown=markdown, as_json=as_json)
    else:
        title = f"Stage {stage} on AWS" if assembly is None else f"{assembly} on AWS"
        region = stage_cost.built_in(stage) if assembly is None else None
        estimated = stage_cost.cost(found, assume or ())
        view.show_cost(estimated, found, title, markdown=markdown, as_json=as_json, region=region)
