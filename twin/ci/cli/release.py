"""`twin ci release`, `release-image`: what a tag publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.ci.cli.options import CommitOption

app = typer.Typer()
TagOption = Annotated[str, typer.Option(envvar="TAG", help="Version tag, like v1.2.3.")]


@app.command()
def release(
    tag: TagOption,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("dist"),
) -> None:
    """Write notes, source archive and evaluation layer of a version; run `make evaluation-layer` first."""
    from infra.constructs.functions.service_function import LAYER
    from twin.ci.release_files import write
    from twin.target.paths import ROOT

    for file in write(tag, ROOT, LAYER, out):
        print(file)


@app.command("release-image")
def release_image(
    tag: TagOption,
    commit: CommitOption,
    user: Annotated[str, typer.Option(envvar="GITHUB_ACTOR", help="Owner of the token.")],
) -> None:
    """Build and push the version's image beside the repository, once; name and digest are the step's outputs."""
    from twin.ci.image import publish_release
    from twin.target.github_job import Job, set_output

    name, digest = publish_release(Job.read(), user, tag.removeprefix("v"), commit)
    set_output("name", name)
    set_output("digest", digest)
    print(f"{name}@{digest}")
