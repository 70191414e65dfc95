"""`twin ci teardown`, `teardown-expired`: deletion of a stage, or of expired previews, with proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from twin.target.errors import TwinError
from twin.terminal.options import StageOption, progress

app = typer.Typer()


@app.command()
def teardown(
    stage: StageOption,
    confirm: Annotated[str, typer.Option(envvar="CONFIRM", help="The stage's name, typed again.")],
) -> None:
    """Delete a stage after a typed confirmation; exit 1 with the survivors if anything is left."""
    from twin.ci.teardown import delete_all

    if confirm != stage:
        raise TwinError(f"The confirmation {confirm!r} is not the stage's name {stage!r}: nothing is deleted.")
    print(delete_all([stage], progress))


@app.command("teardown-expired")
def teardown_expired(
    stage: StageOption = "local",
    hours: Annotated[float, typer.Option(min=0, help="Life of a preview since its last deployment.")] = 24,
) -> None:
    """Delete every preview that is past its life; exit 1 with the survivors if anything is left.

    The account and region of `stage` are searched.
    """
    from twin.ci.teardown import delete_all, expired_previews
    from twin.target.stage import connect

    found = expired_previews(connect(stage), datetime.now(UTC), timedelta(hours=hours))
    print(f"Past their time: {', '.join(found) or 'none'}")
    print(delete_all(found, progress))
