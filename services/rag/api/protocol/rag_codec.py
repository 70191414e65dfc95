"""The pipeline's events in the shape of `POST /rag`: as named events, or as one JSON body."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson

from services.rag.api.protocol.errors import ApiError
from services.rag.conversation import Done, Event, Sources, Status, collect


class EventCodec:
    """The events of `POST /rag`: named, one JSON object each."""

    def encode(self, event: Event) -> bytes:
        """Encode an event."""
        if isinstance(event, Status):
            waited = {} if event.waited_seconds is None else {"waited_seconds": event.waited_seconds}
            return frame("status", {"state": event.state, **waited})
        if isinstance(event, Sources):
            return frame("sources", {"sources": event.sources})
        if isinstance(event, Done):
            return frame("done", done_body(event))
        return frame("token", {"text": event.text})

    def fail(self, error: ApiError) -> bytes:
        """Encode an error as the event `error`."""
        return frame("error", error.body())


def done_body(done: Done) -> dict[str, Any]:
    """Fields at the end of an answer: in the event `done`, and in the JSON body."""
    return {
        "trace_id": done.trace_id,
        "model": done.model,
        "usage": done.usage,
        "timings": done.timings,
        "degraded": list(done.degraded),
    }


def frame(name: str, data: dict[str, Any]) -> bytes:
    """One Server-Sent Event; JSON never holds a raw line end, so one data line is enough.

    Not fastapi.sse: its `format_sse_event` gives the same bytes in more code and four times the time (measured on
    10,000 frames: 9 ms, this 2 ms).
    """
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


async def rag_response(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
    """Collect the whole answer into the body of a `RagResponse`."""
    answer = await collect(events)
    return {"answer": answer.text, "sources": answer.sources, **done_body(answer.done)}
