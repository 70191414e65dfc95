"""Times and durations of documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.opik.database import Document


def parse_time(value: Any) -> datetime | None:
    """An ISO 8601 time in UTC, or None when it is not one; a time without an offset counts as UTC."""
    try:
        read = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def duration_ms(document: Document) -> float | None:
    """Milliseconds from start to end of a trace or span, or None without one of them.

    Raises:
        ValueError: one of them is not an ISO 8601 time.
    """
    times: list[Any] = [document.get("start_time"), document.get("end_time")]
    if not all(times):
        return None
    start, end = (datetime.fromisoformat(str(value).replace("Z", "+00:00")) for value in times)
    return (end - start).total_seconds() * 1000
