"""Request headers about tracing: a trace to continue, `X-Debug-Trace` (always record) and `X-No-Sample`."""

from __future__ import annotations

import uuid

from starlette.datastructures import Headers

from services.common.tracing import Trace

DEBUG_HEADER = "x-debug-trace"
NO_SAMPLE_HEADER = "x-no-sample"
_YES = frozenset({"1", "true", "yes"})
# As Opik's SDK sends them, and with hyphens for load balancers that drop header names with underscores.
_TRACE_ID = ("opik_trace_id", "opik-trace-id")
_PARENT_ID = ("opik_parent_span_id", "opik-parent-span-id")


def begin_trace(name: str, headers: Headers) -> Trace:
    """Begin a new trace, or continue the caller's, for a request whose key is valid.

    Ids that Opik would refuse are ignored: Opik would refuse the other traces of the batch as well.

    Args:
        name: of the trace.
        headers: of the request.
    """
    unsampled = _is_set(headers, NO_SAMPLE_HEADER)
    trace_id = _first(headers, _TRACE_ID)
    if trace_id is None:
        return Trace(name, wanted=_is_set(headers, DEBUG_HEADER), unsampled=unsampled)
    # A caller that sends a trace id has already decided to trace: its trace would lack the steps of this service.
    parent_id = _first(headers, _PARENT_ID)
    return Trace(name, id=trace_id, continued=True, parent_span_id=parent_id, wanted=True, unsampled=unsampled)


def _is_set(headers: Headers, name: str) -> bool:
    return headers.get(name, "").strip().lower() in _YES


def _first(headers: Headers, names: tuple[str, ...]) -> str | None:
    """The first of these headers that is a UUID of version 7, in its usual form."""
    for name in names:
        try:
            found = uuid.UUID(headers.get(name, "").strip())
        except ValueError:
            continue
        if found.version == 7 and found.variant == uuid.RFC_4122:
            return str(found)
    return None
