"""`twin synth`, `deploy`: the stacks of a stage."""

from __future__ import annotations

import typer

from twin.terminal.console import console, print_json, print_table
from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer()


@app.command()
def synth(stage: StageOption = "local") -> None:
    """Synthesize the stacks of a stage into cdk.out.

    Needs neither credentials nor network.
    """
    from twin.target import cdk
    from twin.target.paths import CDK_OUT

    cdk.synth(stage, {})
    console.print(f"Stage {stage} is in {CDK_OUT.name}/.")


@app.command()
def deploy(stage: StageOption = "local", as_json: JsonOption = False) -> None:
    """Deploy a stage and wait until its service is ready."""
    from twin.deploy import deploy as deployment
    from twin.deploy import local

    deployed = local.start(progress) if stage == "local" else deployment.deploy(deployment.target(stage), progress)
    if as_json:
        print_json(deployed.outputs)
    else:
        print_table(f"Stage {stage}", ("output", "value"), sorted(deployed.outputs.items()))
