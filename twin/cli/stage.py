"""`twin doctor`, `synth`, `deploy`, `cost`, `delete`: a stage, from the preflight to the proof that it is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.cli.options import JsonOption, StageOption, progress
from twin.console import console, print_json, print_table

app = typer.Typer()


@app.command()
def doctor(
    stage: StageOption = "local",
    model_dir: Annotated[
        Path | None,
        typer.Option(help="Directory with the model's config.json and weights, if the hub is out of reach."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Preflight: what would fail, why, and how to mend it; exit 1 if a deployment would fail."""
    from twin import views
    from twin.commands import doctor as command

    findings = command.doctor(stage, model_dir)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        views.show_findings(stage, findings)
    if command.has_failed(findings):
        raise typer.Exit(1)


@app.command()
def synth(stage: StageOption = "local") -> None:
    """Synthesize the stacks of a stage into cdk.out; needs neither credentials nor network."""
    from twin import cdk
    from twin.project import CDK_OUT

    cdk.synth(stage, {})
    console.print(f"Stage {stage} is in {CDK_OUT.name}/.")


@app.command()
def deploy(stage: StageOption = "local", as_json: JsonOption = False) -> None:
    """Deploy every stack of a stage and wait until the service is ready."""
    from twin.commands import deploy as command
    from twin.commands import local

    deployed = local.start(progress) if stage == "local" else command.deploy(command.target(stage), progress)
    if as_json:
        print_json(deployed.outputs)
    else:
        print_table(f"Stage {stage}", ("output", "value"), sorted(deployed.outputs.items()))


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
    """What the stage costs: per resource, idle, in office hours, at full load, per 1,000 answers."""
    from twin import views
    from twin.commands import cost as command

    found = command.templates(stage, assembly)
    if refresh_prices:
        views.show_refresh(command.refresh_prices(found, progress))
    if base is not None:
        views.show_cost_diff(command.compare(base, found, assume or ()), markdown=markdown, as_json=as_json)
    else:
        title = f"Stage {stage} on AWS" if assembly is None else f"{assembly} on AWS"
        views.show_cost(command.cost(found, assume or ()), found, title, markdown=markdown, as_json=as_json)


@app.command()
def delete(
    stage: StageOption = "local",
    keep: Annotated[list[str] | None, typer.Option(help="What holds data and stays: vectors.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, in its order.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete the stage, wait, list survivors; exit 1 if anything is left. Run it again after an interruption."""
    from twin import views
    from twin.commands import delete as command
    from twin.commands import local
    from twin.inventory.listings import services_checked
    from twin.stages import connect

    target, kept = connect(stage), tuple(keep or ())
    if dry_run:
        planned = command.plan(target, keep=kept)
        print_json([vars(each) for each in planned]) if as_json else views.show_plan(planned)
        return
    left = command.delete(target, progress, keep=kept)
    if as_json:
        print_json({"survivors": [vars(s) for s in left], "services": services_checked()})
    else:
        views.show_proof(left)
    if left:
        raise typer.Exit(1)
    if target.is_local and not kept:
        local.stop()
