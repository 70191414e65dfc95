"""Moments and durations of documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.opik.database import Document


def moment(value: Any) -> datetime | None:
    """A time as Opik writes it, in UTC; None when it is none. Without an offset it is taken as UTC."""
    try:
        read = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def duration_ms(document: Document) -> float | None:
    """Milliseconds from start to end, or None while it runs."""
    times: list[Any] = [document.get("start_time"), document.get("end_time")]
    if not all(times):
        return None
    start, end = (datetime.fromisoformat(str(value).replace("Z", "+00:00")) for value in times)
    return (end - start).total_seconds() * 1000
