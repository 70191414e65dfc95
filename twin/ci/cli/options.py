"""Options that name a release; GitHub's variables or an earlier step's output set them."""

from __future__ import annotations

from typing import Annotated

import typer

COMMIT = ["COMMIT", "GITHUB_SHA"]
"""A pull request's job runs on a merge commit; COMMIT then names the one that was pushed."""
CommitOption = Annotated[str, typer.Option(envvar=COMMIT, help="Commit, the image's tag.")]
DigestOption = Annotated[str, typer.Option(envvar="IMAGE_DIGEST", help="Digest of the image that was built.")]
