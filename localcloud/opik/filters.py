"""Opik's filters: a list of {field, key, operator, value}, all of which must match.

The SDK translates its Opik Query Language (`filter_string`) into them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.opik.database import Document

TIMES = ("created_at", "last_updated_at", "start_time", "end_time")


def _number(value: Any) -> float:
    return float(value)


def _time(value: Any) -> float:
    return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _contains(have: Any, want: Any) -> bool:
    if isinstance(have, list):
        return any(str(want).lower() in _text(item).lower() for item in have)
    return str(want).lower() in _text(have).lower()


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda have, want: _text(have) == str(want),
    "!=": lambda have, want: _text(have) != str(want),
    "contains": _contains,
    "not_contains": lambda have, want: not _contains(have, want),
    "starts_with": lambda have, want: _text(have).startswith(str(want)),
    "ends_with": lambda have, want: _text(have).endswith(str(want)),
}
ORDERED: dict[str, Callable[[float, float], bool]] = {
    ">": lambda have, want: have > want,
    ">=": lambda have, want: have >= want,
    "<": lambda have, want: have < want,
    "<=": lambda have, want: have <= want,
}


def parse(filters: Any) -> list[Document]:
    """Filters of a request: a list or its JSON; empty for None or an empty text.

    Raises:
        ValueError: it is neither.
    """
    found = json.loads(filters) if isinstance(filters, str) and filters else filters
    if not found:
        return []
    if not isinstance(found, list):
        raise ValueError("filters must be a list")
    return found


def matches(document: Document, filters: list[Document]) -> bool:
    """Whether every filter matches `document`; one with an unknown operator or an incomparable value does not."""
    return all(_matches_one(document, one) for one in filters)


def _matches_one(document: Document, one: Document) -> bool:
    have, operator, want = _value(document, one), one["operator"], one.get("value")
    if operator in ("is_empty", "is_not_empty"):
        return bool(bool(have) == (operator == "is_not_empty"))
    if have is None:
        return False
    try:
        if operator in ORDERED:
            read = _time if one["field"] in TIMES else _number
            return bool(ORDERED[operator](read(have), read(want)))
        return bool(OPERATORS[operator](have, want))
    except (ValueError, TypeError, KeyError):
        return False


def _value(document: Document, one: Document) -> Any:
    field, key = one["field"], one.get("key") or ""
    value = document.get(field, document.get("data", {}).get(field) if isinstance(document.get("data"), dict) else None)
    if field == "feedback_scores":
        scores = document.get("feedback_scores") or ()
        return next((score["value"] for score in scores if score["name"].lower() == key.lower()), None)
    for part in key.split(".") if key else ():
        value = value.get(part) if isinstance(value, dict) else None
    return value
