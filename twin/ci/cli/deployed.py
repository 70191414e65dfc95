"""`twin ci smoke`, `watch-alarms`, `remember`, `rollback`: what follows a deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.ci.cli.options import CommitOption, DigestOption
from twin.terminal.options import StageOption, progress

app = typer.Typer()
SMOKE_QUESTION = "Why does Ada keep the health check timeout so long?"


@app.command()
def smoke(
    stage: StageOption = "local",
    query: Annotated[str, typer.Option(help="Question about the corpus.")] = SMOKE_QUESTION,
) -> None:
    """One question through the public API: an answer with sources and a trace, or exit 1."""
    from twin.ci.smoke import smoke as ask_once
    from twin.target.deployment import outputs
    from twin.target.github_job import set_output
    from twin.target.stage import connect

    target = connect(stage)
    answer = ask_once(target, query)
    set_output("url", outputs(target)["ApiUrl"])
    print(f"{len(answer.text)} characters, {len(answer.sources)} sources, trace {answer.trace_id}")


@app.command("watch-alarms")
def watch_alarms(
    stage: StageOption = "local",
    minutes: Annotated[float, typer.Option(min=0, max=120, help="How long.")] = 15,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 15,
) -> None:
    """Watch the stage's alarms; exit 1 as soon as one starts to ring."""
    from twin.ci.alarms import watch
    from twin.target.stage import connect

    print(f"{watch(connect(stage), minutes * 60, every, progress)} alarms stayed quiet.")


@app.command()
def remember(
    commit: CommitOption,
    digest: DigestOption,
    stage: StageOption,
) -> None:
    """Keep the release as the stage's last good one."""
    from twin.ci.releases import Release
    from twin.ci.releases import remember as keep
    from twin.target.stage import connect

    keep(connect(stage), Release(commit, digest))


@app.command()
def rollback(stage: StageOption) -> None:
    """Deploy the stage's last good release again: image, templates and prompts of that commit."""
    from infra.settings.deployment import load_settings
    from twin.ci.releases import roll_back
    from twin.target.github_job import append_step_summary
    from twin.target.stage import connect

    release = roll_back(connect(stage), load_settings(stage).rag.image_repository)
    append_step_summary(f"**Rolled back** stage {stage} to `{release.commit}` with image `{release.digest}`.")
    print(f"Stage {stage} is back at {release.commit}.")
