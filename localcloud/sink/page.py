"""HTML page of the received messages. All message content is escaped, since anyone on the machine can send it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from localcloud.sink.replies import parse_json
from localcloud.sink.store import Message

_STYLE = """
:root { color-scheme: light dark; --text: #1d1c1d; --dim: #616061; --line: #ddd; --back: #fff; --code: #f8f8f8;
  --link: #1264a3; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --dim: #ababad; --line: #4a4a4d; --back: #1a1d21; --code: #26292e; --link: #6cb6f5; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: var(--text);
  background: var(--back); overflow-wrap: anywhere; }
a { color: var(--link); }
h2 { font-size: 1.1em; margin: .5rem 0; }
article { border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem; margin: 1rem 0; }
article header { color: var(--dim); font-size: .85em; }
pre { white-space: pre-wrap; background: var(--code); padding: .5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(12rem, 100%), 1fr)); gap: .5rem; margin: 0; }
.context { color: var(--dim); font-size: .85em; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LINK = re.compile(r"&lt;(https?://(?:(?!&[lg]t;)[^|\s])++)(?:\|((?:(?!&[lg]t;)[^<>])*+))?&gt;")
_BOLD = re.compile(r"(?<![\w*])\*([^*\s][^*\n]*+)\*(?![\w*])")
_REFRESH_SECONDS = 5


def render(messages: Sequence[Message]) -> str:
    """HTML of the whole page, newest message first."""
    articles = "\n".join(_article(message) for message in reversed(messages)) or "<p>Nothing has arrived yet.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{_REFRESH_SECONDS}"><title>Webhook sink</title><style>{_STYLE}</style></head>
<body><h1>Webhook sink</h1><p>{len(messages)} messages, newest first.</p>
{articles}
</body></html>"""


def _article(message: Message) -> str:
    about = f"#{message.id} · {message.kind} · {message.received_at} · {message.path}"
    return f'<article id="m{message.id}"><header>{escape(about)}</header>{_content(message)}</article>'


def _content(message: Message) -> str:
    payload = parse_json(message.body)
    if message.kind == "slack" and isinstance(payload, dict):
        blocks = payload.get("blocks")
        if isinstance(blocks, list) and blocks:
            return "".join(_block(block) for block in blocks)
        return f"<p>{_mrkdwn(str(payload.get('text', '')))}</p>"
    text = message.body if payload is None else json.dumps(payload, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def _block(block: Any) -> str:
    """One Slack block: header, section (text, fields), context; others as their JSON."""
    if not isinstance(block, dict):
        return f"<pre>{escape(json.dumps(block))}</pre>"
    kind = block.get("type")
    if kind == "header":
        return f"<h2>{_mrkdwn(_text(block.get('text')))}</h2>"
    if kind == "divider":
        return "<hr>"
    if kind == "context":
        return f'<p class="context">{" ".join(_mrkdwn(_text(item)) for item in _list(block.get("elements")))}</p>'
    if kind == "section":
        text = f"<p>{_mrkdwn(_text(block.get('text')))}</p>" if block.get("text") else ""
        fields = "".join(f"<div>{_mrkdwn(_text(item))}</div>" for item in _list(block.get("fields")))
        return text + (f"<dl>{fields}</dl>" if fields else "")
    return f"<pre>{escape(json.dumps(block, indent=2, ensure_ascii=False))}</pre>"


def _mrkdwn(text: str) -> str:
    """Slack's text as HTML: escaped, with `<https://...|label>` as a link and line breaks kept.

    Slack's own escapes (`&amp;`, `&lt;`, `&gt;`) are undone only after the links were found.
    """
    html = _LINK.sub(lambda found: _anchor(found[1], found[2]), escape(text))
    html = _BOLD.sub(r"<b>\1</b>", html)
    for entity in ("amp", "lt", "gt"):
        html = html.replace(f"&amp;{entity};", f"&{entity};")
    return html.replace("\n", "<br>")


def _anchor(url: str, label: str | None) -> str:
    return f'<a href="{url}" rel="noreferrer noopener">{label or url}</a>'


def _text(value: Any) -> str:
    return str(value.get("text", "")) if isinstance(value, dict) else str(value or "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
