"""Rendering of templates, and formats of values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

from localcloud.opik.database import Document
from localcloud.opik.pages.static import HEADERS
from localcloud.opik.times import parse_time

VALUE_LIMIT = 20_000
"""Characters of a value that a page shows."""
PREVIEW_LIMIT = 160
PREVIEW_FIELDS = ("query", "question", "answer", "output", "input", "prompt", "content", "text", "messages")
"""Fields that a preview is taken from, in this order."""
METADATA_NAMES = ("id", "metadata")


def render(template: str, *, section: str, title: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page.

    Args:
        template: file name.
        section: entry of the navigation that the page belongs to.
        title: heading, and title of the browser window.
        status: HTTP status.
        values: variables of the template.
    """
    html = _environment().get_template(template).render(section=section, title=title, **values)
    return HTMLResponse(html, status, headers=HEADERS)


def not_found(section: str, what: str) -> HTMLResponse:
    """Page with status 404; `what` names the kind of thing that was not found."""
    return render("not_found.html", section=section, title=f"{what} not found", status=404)


def timestamp(value: Any) -> str:
    """A time in UTC to the second; empty when it is not a time."""
    read = parse_time(value)
    return read.strftime("%Y-%m-%d %H:%M:%S") if read else ""


def duration(ms: float | None) -> str:
    """Milliseconds as text with a suitable unit; empty for None."""
    if ms is None:
        return ""
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.2f} s"
    return f"{int(ms // 60_000)} min {int(ms % 60_000 // 1000)} s"


def score(value: Any) -> str:
    """A score with three decimal places; empty when it is not a number."""
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def difference(value: float | None) -> str:
    """A difference with its sign (U+2212 as minus, as wide as the plus); empty for None."""
    return "" if value is None else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def full_text(value: Any) -> str:
    """A text as it is, any other value as JSON; cut to `VALUE_LIMIT` characters with a note.

    An object with a single text field counts as that text.
    """
    while isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str):
        value = next(iter(value.values()))
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) <= VALUE_LIMIT:
        return text
    return f"{text[:VALUE_LIMIT]}\n[{len(text) - VALUE_LIMIT:,} more characters]"


def preview(value: Any) -> str:
    """The most informative text of a value on one line, cut to `PREVIEW_LIMIT` characters."""
    text = " ".join(_preview_text(value)[: PREVIEW_LIMIT * 4].split())
    return text if len(text) <= PREVIEW_LIMIT else f"{text[:PREVIEW_LIMIT].rstrip()}…"


def _preview_text(value: Any) -> str:
    if isinstance(value, dict):
        names = [name for name in PREVIEW_FIELDS if name in value] + [
            name for name in value if name not in METADATA_NAMES
        ]
        return next(filter(None, (_preview_text(value[name]) for name in names)), "")
    if isinstance(value, list):
        return next(filter(None, (_preview_text(one) for one in reversed(value))), "")
    return "" if value is None else str(value)


def address(path: str, values: Mapping[str, Any] | Sequence[tuple[str, Any]] = (), **changed: Any) -> str:
    """Address of `path` with these query parameters, some of them `changed`; empty ones are left out."""
    pairs = list(values.items()) if isinstance(values, Mapping) else list(values)
    pairs = [(name, value) for name, value in pairs if name not in changed] + list(changed.items())
    query = urlencode([(name, value) for name, value in pairs if value not in ("", None)])
    return f"{path}?{query}" if query else path


def fields(document: Document, *names: str) -> list[tuple[str, str]]:
    """Name and full text of those fields of `names` that have a value."""
    return [(name.replace("_", " "), full_text(document[name])) for name in names if document.get(name)]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "timestamp": timestamp,
        "duration": duration,
        "score": score,
        "difference": difference,
        "full_text": full_text,
        "preview": preview,
        "part": lambda value: quote(str(value), safe=""),
    }
    environment.globals["address"] = address
    return environment
