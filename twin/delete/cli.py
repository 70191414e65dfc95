"""`twin delete`: a stage and the proof that it is gone."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.console import print_json
from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer()


@app.command()
def delete(
    stage: StageOption = "local",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="What stays: vectors, a stack with data; data, the local traces and documents."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be deleted, in order.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a stage and prove that nothing is left.

    Exit code 1 with the survivors when anything is left. Run it again after an interruption.
    """
    from localcloud import lifecycle
    from twin.delete import delete as deletion
    from twin.delete.local_data import without_local_data
    from twin.delete.plan import removals
    from twin.delete.view import proof, show_account, show_removals, show_survivors
    from twin.inventory.account import account_stacks
    from twin.target.paths import STATE_ROOT
    from twin.target.stage import connect

    target = connect(stage)
    kept, keeps_data = without_local_data(target, keep or ())
    if dry_run:
        planned = removals(target, keep=kept)
        print_json([vars(each) for each in planned]) if as_json else show_removals(planned)
        return
    left = deletion.delete(target, progress, keep=kept)
    kept_by_account = {} if target.is_local else account_stacks(target)
    if as_json:
        print_json({**proof(left), "account": list(kept_by_account)})
    else:
        show_survivors(left)
        show_account(kept_by_account)
    if left:
        raise typer.Exit(1)
    if target.is_local and not kept:
        lifecycle.stop(STATE_ROOT) if keeps_data else lifecycle.remove_data(STATE_ROOT)
