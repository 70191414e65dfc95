"""`twin ci release-notes`: what a tag publishes."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command("release-notes")
def release_notes(tag: Annotated[str, typer.Option(help="Version tag, like v1.2.3.")]) -> None:
    """The section of CHANGELOG.md about a version; exit 1 when there is none."""
    from twin.ci.changelog import section
    from twin.project import ROOT

    print(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag.removeprefix("v")))
