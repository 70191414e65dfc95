"""Output of commands: steps with their times, tables, JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from services.common.text import without_control_characters


class PlainTextConsole(Console):
    """Prints no control character but line ends and tabs: text of others may hold some, and they command a terminal."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, texts without control characters."""
        super().print(
            *(without_control_characters(each) if isinstance(each, str) else each for each in objects), **options
        )


console = PlainTextConsole(highlight=False, soft_wrap=True, emoji=False)


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table whose cells are plain text: markup in data is shown as it is."""
    table = Table(title=_plain(title), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    console.print(table)


def score_cell(value: object) -> str:
    """A score with three decimals; empty for what is no number."""
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def milliseconds_cell(value: float | None) -> str:
    """A duration with one decimal and its unit; empty when unknown."""
    return "" if value is None else f"{value:.1f} ms"


def _plain(cell: object) -> str:
    return "" if cell is None else without_control_characters(str(cell)).replace("[", "\\[")


@dataclass
class Steps:
    """Numbered steps of a long command, each printed with its time, and a table of them at the end."""

    times: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Time what runs inside; a failing step is timed as well."""
        number = len(self.times) + 1
        console.print(f"\n[bold]{number}. {title}[/bold]")
        started = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - started
            self.times.append((title, seconds))
            console.print(f"[dim]   {title}: {seconds:.1f} s[/dim]")

    def print_times(self) -> None:
        """The table of step times, with their sum."""
        rows = [(str(i), title, f"{seconds:.1f}") for i, (title, seconds) in enumerate(self.times, 1)]
        rows.append(("", "all", f"{sum(seconds for _, seconds in self.times):.1f}"))
        print_table("Step times", ("step", "what", "seconds"), rows)
