"""Terminal output of a Slack message."""

from __future__ import annotations

import html
from typing import Any

from twin.terminal.console import console


def show_message(message: dict[str, Any]) -> None:
    """A Slack message as its blocks read."""
    console.print(message.get("text", ""), markup=False, style="bold")
    for block in message.get("blocks", ()):
        parts = [block.get("text"), *(block.get("fields") or ()), *(block.get("elements") or ())]
        for part in parts:
            text = part.get("text") if isinstance(part, dict) else None
            if text and text != message.get("text"):
                console.print(f"  {html.unescape(str(text)).replace(chr(10), ': ')}", markup=False)
