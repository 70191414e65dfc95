"""`twin ci image`, `image-build`, `require-image`: built once, and nothing else promoted."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.ci.cli.options import COMMIT, CommitOption, DigestOption
from twin.terminal.options import StageOption

app = typer.Typer()


@app.command()
def image(commit: CommitOption, stage: StageOption) -> None:
    """Build and push the service's image, once for a commit; gives its digest to later steps."""
    from twin.ci.image import publish
    from twin.target.github_job import set_output
    from twin.target.stage import connect

    release = publish(connect(stage), _image_repository(stage), commit)
    set_output("digest", release.digest)
    print(release.digest)


@app.command("image-build")
def image_build(
    commit: Annotated[str, typer.Option(envvar=COMMIT, help="Commit, a label of the image.")] = "unknown",
    name: Annotated[str, typer.Option(help="Name and tag.")] = "llm-twin/rag:ci",
) -> None:
    """Build the service's image and push it nowhere."""
    from twin.ci.image import build

    build(name, commit)


@app.command("require-image")
def require_image(
    commit: CommitOption,
    digest: DigestOption,
    stage: StageOption,
) -> None:
    """Exit 1 unless the commit's image is the one that was built: only that is promoted."""
    from twin.ci.releases import Release, require_same_image
    from twin.target.stage import connect

    require_same_image(connect(stage), _image_repository(stage), Release(commit, digest))


def _image_repository(stage: str) -> str:
    from infra.settings.deployment import load_settings

    return load_settings(stage).rag.image_repository
