"""`twin prompts`: which version of a prompt is in use."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.console import console, print_json, print_table
from twin.terminal.options import JsonOption

app = typer.Typer(no_args_is_help=True, help="List, compare and switch versions of the prompts.")
PromptArgument = Annotated[str, typer.Argument(help="Name of the prompt.")]


@app.command("list")
def prompts_list(as_json: JsonOption = False) -> None:
    """List every version with its commit, and which is in use."""
    from services.rag.prompts.library import PromptLibrary
    from twin.prompts import versions

    found = versions.rows(PromptLibrary())
    if as_json:
        print_json([vars(row) for row in found])
        return
    shown = [(row.name, row.version, row.commit, "in use" if row.active else "") for row in found]
    print_table("Prompts", ("prompt", "version", "commit", ""), shown)


@app.command("diff")
def prompts_diff(
    name: PromptArgument,
    before: Annotated[str | None, typer.Argument(help="Version; the one in use by default.")] = None,
    after: Annotated[str | None, typer.Argument(help="Version; the newest by default.")] = None,
) -> None:
    """Show the difference between two versions."""
    from services.rag.prompts.library import PromptLibrary
    from twin.prompts import versions

    for line in versions.diff(PromptLibrary(), name, before, after):
        console.print(line, markup=False)


@app.command("promote")
def prompts_promote(name: PromptArgument, version: Annotated[str, typer.Argument(help="Version.")]) -> None:
    """Put a version in use with the next deployment."""
    from services.rag.prompts.library import PromptLibrary
    from twin.prompts import versions

    chosen = versions.promote(PromptLibrary(), name, version)
    console.print(f"{name}: version {chosen} is in use with the next deployment.")


@app.command("rollback")
def prompts_rollback(name: PromptArgument) -> None:
    """Go back to the earlier version with the next deployment."""
    from services.rag.prompts.library import PromptLibrary
    from twin.prompts import versions

    chosen = versions.rollback(PromptLibrary(), name)
    console.print(f"{name}: version {chosen} is in use with the next deployment.")
