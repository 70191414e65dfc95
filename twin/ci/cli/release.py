"""`twin ci release-notes`, `release-image`, `release-layer`: what a tag publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.ci.cli.options import CommitOption

app = typer.Typer()
TagOption = Annotated[str, typer.Option(envvar="TAG", help="Version tag, like v1.2.3.")]


@app.command("release-notes")
def release_notes(tag: TagOption) -> None:
    """The section of CHANGELOG.md about a version; exit 1 when there is none."""
    from twin.ci.changelog import section
    from twin.target.paths import ROOT

    print(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag.removeprefix("v")))


@app.command("release-image")
def release_image(
    tag: TagOption,
    commit: CommitOption,
    user: Annotated[str, typer.Option(envvar="GITHUB_ACTOR", help="Who the token belongs to.")],
) -> None:
    """Build and push the version's image beside the repository, once; gives its name and digest to later steps."""
    from twin.ci.image import publish_release
    from twin.target.github_job import Job, set_output

    name, digest = publish_release(Job.read(), user, tag.removeprefix("v"), commit)
    set_output("name", name)
    set_output("digest", digest)
    print(f"{name}@{digest}")


@app.command("release-layer")
def release_layer(out: Annotated[Path, typer.Option(help="File to write.")]) -> None:
    """The evaluation functions' layer, as `make evaluation-layer` built it, in one file."""
    from scripts.build_evaluation_layer import OUT
    from twin.ci.archive import pack

    print(f"{pack(OUT, out)} files are in {out}.")
