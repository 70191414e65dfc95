"""`twin account`: what is done once per AWS account."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.options import StageOption, progress

app = typer.Typer(
    no_args_is_help=True, help="Once per AWS account: the CDK's bootstrap, and trust in a GitHub repository."
)


@app.command()
def bootstrap(stage: StageOption) -> None:
    """Prepare the stage's account and region for the CDK; takes an administrator's credentials."""
    from twin.account import trust
    from twin.target.stage import connect

    print(f"{trust.bootstrap(connect(stage))} is bootstrapped.")


@app.command("trust")
def trust_repository(
    repository: Annotated[str, typer.Option(envvar="GITHUB_REPOSITORY", help="OWNER/NAME on GitHub.")],
    stage: StageOption,
) -> None:
    """Deploy the Delivery stack: this account trusts that repository's workflows from now on."""
    from twin.account.trust import deploy_trust
    from twin.target.stage import connect

    for workflow, arn in deploy_trust(connect(stage), repository, progress).items():
        print(f"{workflow}: {arn}")


@app.command("connect")
def connect_github(stage: StageOption) -> None:
    """Give the repository its deployment environments and the variables that name the roles."""
    from twin.account import trust
    from twin.target.github import GitHub
    from twin.target.github_job import Job
    from twin.target.stage import connect

    target = connect(stage)
    with GitHub(Job.read()) as github:
        for line in trust.connect(github, trust.roles(target), target.region, trust.branch()):
            print(line)
