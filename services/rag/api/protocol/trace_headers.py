"""Request headers about tracing: a trace to continue, `X-Debug-Trace` (always record) and `X-No-Sample`."""

from __future__ import annotations

import uuid
from functools import partial

from starlette.datastructures import Headers

from services.common.logging import concern_logger
from services.common.trace_owners import OTHER_KEY, TraceOwners
from services.common.tracing import Trace

logger = concern_logger("security")

DEBUG_HEADER = "x-debug-trace"
NO_SAMPLE_HEADER = "x-no-sample"
_YES = frozenset({"1", "true", "yes"})
# As Opik's SDK sends them, and with hyphens for load balancers that drop header names with underscores.
_TRACE_ID = ("opik_trace_id", "opik-trace-id")
_PARENT_ID = ("opik_parent_span_id", "opik-parent-span-id")


def begin_trace(name: str, headers: Headers, key_name: str, owners: TraceOwners) -> Trace:
    """Begin a new trace, or continue the caller's, for a request whose key is valid.

    Ids that Opik would refuse are ignored: Opik would refuse the other traces of the batch as well. A trace that is
    known to belong to another key is not continued; whether an unknown one does is found out before it is written.

    Args:
        name: of the trace.
        headers: of the request.
        key_name: name of the request's key.
        owners: whose traces are known.
    """
    begun = partial(Trace, name, owner=key_name, unsampled=_is_set(headers, NO_SAMPLE_HEADER))
    trace_id = _first(headers, _TRACE_ID)
    if trace_id is not None and owners.known(trace_id) not in (None, key_name):
        logger.warning(OTHER_KEY, extra={"refused_trace_id": trace_id, "key_name": key_name})
        trace_id = None
    if trace_id is None:
        return begun(wanted=_is_set(headers, DEBUG_HEADER))
    # A caller that sends a trace id has already decided to trace: its trace would lack the steps of this service.
    return begun(id=trace_id, parent_span_id=_first(headers, _PARENT_ID), continued=True, wanted=True)


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
