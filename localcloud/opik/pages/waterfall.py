"""Waterfall of a trace: place and width of each span on the time axis."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from localcloud.opik.database import Document
from localcloud.opik.pages.rendering import duration, fields
from localcloud.opik.times import duration_ms, parse_time

DEPTHS = 8
"""Deeper spans are not indented further."""
LEAST_WIDTH = 0.5
"""Minimum width of a bar in percent, so that it can be seen."""


@dataclass(frozen=True)
class Row:
    """One span.

    Attributes:
        span: document of the span.
        depth: levels below the trace, at most `DEPTHS`.
        ms: duration in milliseconds, None while it runs.
        left, width: place of the bar in percent of the trace's duration.
        body: name and text of each field to show.
    """

    span: Document
    depth: int
    ms: float | None
    left: float
    width: float
    body: list[tuple[str, str]]


def waterfall(spans: list[Document], trace: Document) -> list[Row]:
    """Rows in the order of the span tree, siblings by start; a span whose parent is missing is at the top level."""
    begin, whole = _extent(spans, trace)
    ids = {span["id"] for span in spans}
    children: dict[str | None, list[Document]] = defaultdict(list)
    for span in sorted(spans, key=lambda s: _seconds(s.get("start_time"), begin), reverse=True):
        parent = span.get("parent_span_id")
        children[parent if parent in ids and parent != span["id"] else None].append(span)
    waiting = [(span, 0) for span in children[None]]
    rows: list[Row] = []
    while waiting:
        span, depth = waiting.pop()
        rows.append(_row(span, depth, begin, whole))
        waiting += [(child, min(depth + 1, DEPTHS)) for child in children[span["id"]]]
    return rows


def ticks(rows: list[Row], ms: float | None) -> list[tuple[float, str]]:
    """Five ticks of the axis: place in percent, and time since the start."""
    whole = ms or max((row.ms or 0 for row in rows), default=0)
    return [(share * 100, duration(whole * share) if share else "0") for share in (0, 0.25, 0.5, 0.75, 1)]


def _row(span: Document, depth: int, begin: float, whole: float) -> Row:
    ms = duration_ms(span)
    left = min(100 - LEAST_WIDTH, max(0.0, (_seconds(span.get("start_time"), begin) - begin) / whole * 100))
    # A running span extends to the end.
    share = 100.0 if ms is None else ms / 1000 / whole * 100
    width = min(100 - left, max(LEAST_WIDTH, share))
    body = fields(span, "error_info", "input", "output", "metadata", "usage", "feedback_scores")
    return Row(span, depth, ms, round(left, 2), round(width, 2), body)


def _extent(spans: list[Document], trace: Document) -> tuple[float, float]:
    """Start and duration of the trace in seconds; a running trace is as long as its spans."""
    begin = _seconds(trace.get("start_time"), 0.0)
    ends = [_seconds(span.get("end_time"), begin) for span in spans]
    end = _seconds(trace.get("end_time"), max(ends, default=begin))
    return begin, max(end - begin, 1e-6)


def _seconds(value: Any, default: float) -> float:
    read = parse_time(value)
    return read.timestamp() if read else default
