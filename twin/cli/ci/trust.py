"""`twin ci bootstrap`, `set-up`, `connect`: an account and a repository that may work with each other."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.cli.options import StageOption, progress

app = typer.Typer()


@app.command()
def bootstrap(stage: StageOption) -> None:
    """Prepare the stage's account and region for the CDK; takes an administrator's credentials."""
    from twin.ci import setup
    from twin.stages import connect

    print(f"{setup.bootstrap(connect(stage))} is bootstrapped.")


@app.command("set-up")
def set_up(
    repository: Annotated[str, typer.Option(envvar="GITHUB_REPOSITORY", help="OWNER/NAME on GitHub.")],
    stage: StageOption,
) -> None:
    """Deploy the Delivery stack: this account trusts that repository's workflows from now on."""
    from twin.ci.setup import deploy_trust
    from twin.stages import connect

    for workflow, arn in deploy_trust(connect(stage), repository, progress).items():
        print(f"{workflow}: {arn}")


@app.command("connect")
def connect_github(stage: StageOption) -> None:
    """Give the repository its deployment environments and the variables that name the roles."""
    from twin.ci import setup
    from twin.ci.environment import Job
    from twin.ci.github import GitHub
    from twin.stages import connect

    target = connect(stage)
    with GitHub(Job.read()) as github:
        for line in setup.connect(github, setup.roles(target), target.region, setup.branch()):
            print(line)
