"""`twin account`: set-up that an AWS account needs once."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.options import StageOption, progress

app = typer.Typer(no_args_is_help=True, help="Prepare an AWS account, once: bootstrap, trust, connect.")


@app.command()
def bootstrap(stage: StageOption) -> None:
    """Prepare the stage's account and region for the CDK."""
    from twin.target.bootstrap import bootstrap_account
    from twin.target.stage import connect

    print(f"{bootstrap_account(connect(stage))} is bootstrapped.")


@app.command("trust")
def trust_repository(
    repository: Annotated[str, typer.Option(envvar="GITHUB_REPOSITORY", help="OWNER/NAME on GitHub.")],
    stage: StageOption,
) -> None:
    """Let a GitHub repository's workflows deploy into this account."""
    from twin.account.trust import deploy_trust
    from twin.target.stage import connect

    for workflow, arn in deploy_trust(connect(stage), repository, progress).items():
        print(f"{workflow}: {arn}")


@app.command("connect")
def connect_github(stage: StageOption) -> None:
    """Set the repository's environments and role variables."""
    from twin.account import trust
    from twin.target.github import GitHub
    from twin.target.github_job import Job
    from twin.target.stage import connect

    target = connect(stage)
    with GitHub(Job.read()) as github:
        found = trust.roles(target)
        for line in trust.connect(github, found, target.region, trust.branch()):
            print(line)
        for warning in trust.approval_warnings(github) if "deploy" in found else ():
            progress(f"Warning: {warning}")
