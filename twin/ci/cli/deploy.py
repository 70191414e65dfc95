"""`twin ci image`, `deploy`, `ingest`, `watch-alarms`, `remember`, `rollback`: the way of a commit, and back."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.ci.cli.options import CommitOption, DigestOption
from twin.terminal.options import StageOption, progress

app = typer.Typer()


@app.command()
def image(commit: CommitOption, stage: StageOption) -> None:
    """Build and push the service's image, once for a commit; its digest is the step's output `digest`."""
    from twin.ci.image import publish
    from twin.target.github_job import set_output
    from twin.target.stage import connect

    release = publish(connect(stage), _image_repository(stage), commit)
    set_output("digest", release.digest)
    print(release.digest)


@app.command()
def deploy(commit: CommitOption, digest: DigestOption, stage: StageOption) -> None:
    """Deploy a commit with the image that was built of it, and no other; the API's URL is the step's output `url`.

    On AWS, run `make evaluation-layer` first.
    """
    from twin.ci.releases import Release, deploy_release
    from twin.target.github_job import set_output

    set_output("url", deploy_release(stage, _image_repository(stage), Release(commit, digest), progress))


@app.command()
def ingest(stage: StageOption) -> None:
    """Ingest the documents that the stage's settings ask for (`rag.documents`), if any, into the stage's own store."""
    from twin.ask import view
    from twin.ask.documents import ingest_documents
    from twin.target.stage import connect

    report = ingest_documents(connect(stage), progress)
    if report is not None:
        view.show_ingest(report)


@app.command("watch-alarms")
def watch_alarms(
    stage: StageOption = "local",
    minutes: Annotated[float, typer.Option(min=0, max=120, help="Duration of the watch.")] = 15,
    every: Annotated[
        float, typer.Option(min=0.1, envvar="WATCH_EVERY_SECONDS", help="Seconds between two requests.")
    ] = 15,
) -> None:
    """Watch the stage's alarms; exit 1 as soon as one starts to ring."""
    from twin.ci.alarms import watch
    from twin.target.stage import connect

    print(f"{watch(connect(stage), minutes * 60, every, progress)} alarms stayed quiet.")


@app.command()
def remember(commit: CommitOption, digest: DigestOption, stage: StageOption) -> None:
    """Store the release as the stage's last good one."""
    from twin.ci.releases import Release, store_last_good
    from twin.target.stage import connect

    store_last_good(connect(stage), Release(commit, digest))


@app.command()
def rollback(stage: StageOption) -> None:
    """Deploy the stage's last good release again: image, templates and prompts of that commit."""
    from twin.ci.releases import roll_back
    from twin.target.github_job import append_step_summary
    from twin.target.stage import connect

    release = roll_back(connect(stage), _image_repository(stage))
    append_step_summary(f"**Rolled back** stage {stage} to `{release.commit}` with image `{release.digest}`.")
    print(f"Stage {stage} is back at {release.commit}.")


def _image_repository(stage: str) -> str:
    from infra.settings.deployment import load_settings

    return load_settings(stage).rag.image_repository
