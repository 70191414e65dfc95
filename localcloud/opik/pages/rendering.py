"""Templates to answers, and how values are written for people."""

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
from localcloud.opik.times import moment

VALUE_LIMIT = 20_000
PREVIEW_LIMIT = 160
TELLING = ("query", "question", "answer", "output", "input", "prompt", "content", "text", "messages")
"""Fields whose text says best what a value is about, in this order."""
METADATA_NAMES = ("id", "metadata")


def render(template: str, *, section: str, title: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page; `section` is its entry in the navigation."""
    html = _environment().get_template(template).render(section=section, title=title, **values)
    return HTMLResponse(html, status, headers=HEADERS)


def missing(section: str, what: str) -> HTMLResponse:
    """404 for a person: what was looked for is not here, or not any more."""
    return render("missing.html", section=section, title=f"{what} not found", status=404)


def when(value: Any) -> str:
    """A moment to the second, in UTC."""
    read = moment(value)
    return read.strftime("%Y-%m-%d %H:%M:%S") if read else ""


def duration(ms: float | None) -> str:
    """Milliseconds as a person says them."""
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
    """A score to three places."""
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def difference(value: float | None) -> str:
    """A difference with its sign; a real minus, as wide as the plus."""
    return "" if value is None else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def said(value: Any) -> str:
    """A value in full: text as it is, anything else as JSON; very long ones are cut, and say so."""
    while isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str):
        value = next(iter(value.values()))
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) <= VALUE_LIMIT:
        return text
    return f"{text[:VALUE_LIMIT]}\n[{len(text) - VALUE_LIMIT:,} more characters]"


def preview(value: Any) -> str:
    """The text that says best what a value is about, on one line."""
    text = " ".join(_telling(value)[: PREVIEW_LIMIT * 4].split())
    return text if len(text) <= PREVIEW_LIMIT else f"{text[:PREVIEW_LIMIT].rstrip()}…"


def _telling(value: Any) -> str:
    if isinstance(value, dict):
        names = [name for name in TELLING if name in value] + [name for name in value if name not in METADATA_NAMES]
        return next(filter(None, (_telling(value[name]) for name in names)), "")
    if isinstance(value, list):
        return next(filter(None, (_telling(one) for one in reversed(value))), "")
    return "" if value is None else str(value)


def address(path: str, values: Mapping[str, Any] | Sequence[tuple[str, Any]] = (), **changed: Any) -> str:
    """A link to `path` with these values; empty ones are left out."""
    pairs = list(values.items()) if isinstance(values, Mapping) else list(values)
    pairs = [(name, value) for name, value in pairs if name not in changed] + list(changed.items())
    query = urlencode([(name, value) for name, value in pairs if value not in ("", None)])
    return f"{path}?{query}" if query else path


def fields(document: Document, *names: str) -> list[tuple[str, str]]:
    """Those of the fields that have a value, each in full."""
    return [(name.replace("_", " "), said(document[name])) for name in names if document.get(name)]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": when,
        "duration": duration,
        "score": score,
        "difference": difference,
        "said": said,
        "preview": preview,
        "part": lambda value: quote(str(value), safe=""),
    }
    environment.globals["address"] = address
    return environment
