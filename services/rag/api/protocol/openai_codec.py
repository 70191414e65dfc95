"""The pipeline's events in OpenAI's shape: as chunks, or as one completion."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

import orjson

from services.rag.api.protocol.errors import ApiError
from services.rag.conversation import Done, Event, Sources, Status, Token, collect


class ChunkCodec:
    """`chat.completion.chunk` objects. The last one before `[DONE]` has no content and carries the extensions."""

    def __init__(self, trace_id: str, model: str, *, include_usage: bool) -> None:
        """Open a stream.

        Args:
            trace_id: the id of the chunks follows from it.
            model: that is expected to answer; the last chunks name the one that did.
            include_usage: a last chunk without choices holds the token counts.
        """
        self._head = _head(trace_id, model, "chat.completion.chunk")
        self._include_usage = include_usage
        self._role_said = False
        self._sources: list[dict[str, Any]] = []

    def encode(self, event: Event) -> bytes:
        """Encode an event; empty for those that OpenAI's protocol does not have."""
        if isinstance(event, Token):
            return self._token(event.text)
        if isinstance(event, Sources):
            self._sources = event.sources
            return b""
        if isinstance(event, Done):
            return self._done(event)
        # A comment keeps the connection open, and clients skip it. Until one is sent, an error has its own HTTP status.
        return _comment(event) if event.state == "waking" else b""

    def fail(self, error: ApiError) -> bytes:
        """Encode an error as data, which OpenAI's client raises as `APIError`."""
        return _data(error.body())

    def _token(self, text: str) -> bytes:
        delta = {"content": text} if self._role_said else {"role": "assistant", "content": text}
        self._role_said = True
        return self._chunk([_choice(delta, None)])

    def _done(self, done: Done) -> bytes:
        self._head["model"] = done.model
        extensions = _extensions(self._sources, done)
        delta = {} if self._role_said else {"role": "assistant", "content": ""}
        last = [_choice(delta, done.finish_reason)]
        if self._include_usage:
            chunks = self._chunk(last) + self._chunk([], usage=done.usage, **extensions)
        else:
            chunks = self._chunk(last, **extensions)
        return chunks + b"data: [DONE]\n\n"

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        # With include_usage OpenAI sends the field on every chunk, null on all but the last.
        usage = {"usage": None} if self._include_usage else {}
        return _data({**self._head, "choices": choices, **usage, **more})


async def completion(events: AsyncGenerator[Event, None], trace_id: str) -> dict[str, Any]:
    """Collect the whole answer into one `chat.completion`."""
    answer = await collect(events)
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    finish = answer.done.finish_reason
    return {
        **_head(trace_id, answer.done.model, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": answer.done.usage,
        **_extensions(answer.sources, answer.done),
    }


def _extensions(sources: list[dict[str, Any]], done: Done) -> dict[str, Any]:
    return {
        "sources": sources,
        "trace_id": done.trace_id,
        "timings": done.timings,
        "degraded": list(done.degraded),
    }


def _head(trace_id: str, model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{trace_id}", "object": kind, "created": int(time.time()), "model": model}


def _choice(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}


def _comment(status: Status) -> bytes:
    return f": {status.state}\n\n".encode()


def _data(body: dict[str, Any]) -> bytes:
    return b"data: %s\n\n" % orjson.dumps(body)
