"""Results of `twin drill faults`: a table of 80 columns, and everything as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from twin.local.faults.calls import WHOLE
from twin.local.faults.drill import Seen
from twin.local.faults.promises import NOT_DRILLED
from twin.terminal.console import console

WIDTH = 80


def as_json(results: Sequence[Seen]) -> dict[str, Any]:
    """Every number, and the faults that are left out."""
    return {"faults": [_entry(seen) for seen in results], "not_drilled": NOT_DRILLED, "kept": kept(results)}


def kept(results: Sequence[Seen]) -> bool:
    """Whether no promise was broken."""
    return not any(seen.broken for seen in results)


def show(results: Sequence[Seen]) -> None:
    """The table, with a mark at each promise that was broken."""
    table = Table(title="Faults under load", title_justify="left", header_style="bold", width=WIDTH, show_lines=True)
    for column, share in (("fault", 2), ("promise", 4), ("seen", 4)):
        table.add_column(column, overflow="fold", ratio=share)
    for seen in results:
        style = "red" if seen.broken else None
        table.add_row(*(cell.replace("[", "\\[") for cell in _row(seen)), style=style)
    console.print(table)


def _row(seen: Seen) -> tuple[str, str, str]:
    mark = "BROKEN " if seen.broken else ""
    return f"{mark}{seen.promise.name}", seen.promise.sentence.replace("`", ""), _seen(seen)


def _seen(seen: Seen) -> str:
    if seen.not_available:
        return seen.verdict
    parts = [f"{seen.answers[WHOLE]} whole{_others(seen.answers)}"]
    if others := _others(seen.feedback):
        parts.append(f"feedback{others}")
    parts.append(f"each within {seen.longest_seconds:.1f} s")
    parts.append("not back" if seen.back_seconds is None else f"back in {seen.back_seconds:.1f} s")
    parts.append("lost: " + (", ".join(f"{count} {what}" for what, count in seen.lost.items() if count) or "nothing"))
    if seen.broken:
        parts.append(seen.verdict)
    return "; ".join(parts)


def _others(ended: Counter[str]) -> str:
    return "".join(f", {count} {how}" for how, count in sorted(ended.items()) if how != WHOLE)


def _entry(seen: Seen) -> dict[str, Any]:
    promise = seen.promise
    return {
        "part": promise.part,
        "fault": promise.fault,
        "promise": {
            "answers": sorted(promise.answers),
            "feedback": sorted(promise.feedback),
            "within_seconds": promise.within_seconds,
            "back_seconds": promise.back_seconds,
            "lost_seconds": promise.lost_seconds,
        },
        "seen": {
            "answers": seen.answers,
            "feedback": seen.feedback,
            "longest_seconds": seen.longest_seconds,
            "back_seconds": seen.back_seconds,
            "lost": seen.lost,
            "ingest": seen.ingest,
        },
        "broken": seen.broken,
        "not_available": seen.not_available,
    }
