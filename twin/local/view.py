"""Terminal output of a Slack message."""

from __future__ import annotations

import html
import re
from typing import Any

from twin.terminal.console import console

_LINK = re.compile(r"<(https?://[^|<>\s]++)(?:\|([^<>]*+))?>")
_BOLD = re.compile(r"(?<![\w*])\*([^*\s][^*\n]*+)\*(?![\w*])")


def show_message(message: dict[str, Any]) -> None:
    """A Slack message as its blocks read."""
    console.print(html.unescape(str(message.get("text", ""))), markup=False, style="bold")
    for block in message.get("blocks", ()):
        # The header says what the text says.
        parts = [block.get("text")] if block.get("type") != "header" else []
        for part in [*parts, *(block.get("fields") or ()), *(block.get("elements") or ())]:
            text = part.get("text") if isinstance(part, dict) else None
            if text:
                console.print("  " + plain(str(text)).replace("\n", "\n    "), markup=False)


def plain(text: str) -> str:
    """Slack's text without its markup: `*Since*` is `Since`, `<https://...|page>` is `page (https://...)`."""
    linked = _LINK.sub(lambda found: f"{found[2]} ({found[1]})" if found[2] else found[1], text)
    return html.unescape(_BOLD.sub(r"\1", linked))
