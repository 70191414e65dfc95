"""Terminal output of a deletion plan and its proof."""

from __future__ import annotations

from typing import Any

from twin.delete.plan import Removal
from twin.inventory.listings import kinds_checked, services_checked
from twin.inventory.survivors import Survivor
from twin.terminal.console import console, print_table


def proof(left: list[Survivor]) -> dict[str, Any]:
    """The result of a delete for machines: `{"survivors": [...], "services": [names of the services searched]}`."""
    return {"survivors": [vars(each) for each in left], "services": services_checked()}


def show_survivors(left: list[Survivor]) -> None:
    """What survived a delete, or how much was looked at to say that nothing did."""
    looked = f"{kinds_checked()} kinds of resources in {len(services_checked())} services"
    if not left:
        console.print(f"[green]0 survivors[/green]: looked at {looked} ({', '.join(services_checked())}).")
        return
    rows = [(s.service, s.kind, s.name, s.why) for s in left]
    print_table(f"{len(left)} survivors of {looked}", ("service", "kind", "name", "why"), rows)


def show_removals(planned: list[Removal]) -> None:
    """What a delete would remove, in its order."""
    if not planned:
        console.print("Nothing of the stage exists.")
        return
    print_table(f"{len(planned)} removals", ("step", "kind", "name"), [(p.step, p.kind, p.name) for p in planned])


def show_account(stacks: dict[str, str]) -> None:
    """What stays with the account, which no stage owns."""
    if stacks:
        named = ", ".join(f"{name} ({holds})" for name, holds in stacks.items())
        console.print(f"With the account stay: {named}. docs/deletion.md says how they go.", markup=False)
