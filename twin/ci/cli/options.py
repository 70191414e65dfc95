"""Options that name a release; GitHub's variables or an earlier step's output set them."""

from __future__ import annotations

from typing import Annotated

import typer

COMMIT = ["COMMIT", "GITHUB_SHA"]
"""GITHUB_SHA is the commit that the job has checked out: for a pull request its merge into the base. COMMIT names
another one, for a preview's comment the one that was pushed."""
CommitOption = Annotated[str, typer.Option(envvar=COMMIT, help="Commit, the image's tag.")]
DigestOption = Annotated[str, typer.Option(envvar="IMAGE_DIGEST", help="Digest of the image that was built.")]
