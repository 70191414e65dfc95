"""One call of the API, classified: whole, an error with its code, cut, or longer than its limit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from twin.local.faults.promises import BROKEN_OFF

WHOLE = "whole"
HANG = "hang"
"""Neither an answer nor an error came within the limit."""
NOT_ANSWERED = "connection refused"
DEGRADED = "degraded"
FEEDBACK = "feedback"
KINDS = ("rag stream", "rag", "v1 stream", "rag stream")
"""Kinds of questions, by the number of the caller."""
_NO_SAMPLE = {"X-No-Sample": "1"}


@dataclass(frozen=True)
class Call:
    """A finished call.

    Attributes:
        kind: one of `KINDS`, or `FEEDBACK`.
        began: `time.monotonic()` of the request.
        ended: of the end of the answer.
        seen: `WHOLE`, an error's code, `HTTP` with a status that has no code, or how it ended otherwise.
        trace_id: of the answer, empty without one.
        sampled: whether the service was allowed to sample it, as it samples every answer of the local stage.
    """

    kind: str
    began: float
    ended: float
    seen: str
    trace_id: str = ""
    sampled: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


def ask(client: httpx.Client, kind: str, question: str, limit: float, *, sample: bool) -> Call:
    """Ask one question; never raises for what the service or the connection does.

    Args:
        limit: seconds after which the caller gives up, which counts as `HANG`.
        sample: whether the answer may become a sample; its trace is asked for in any case.
    """
    began = time.monotonic()
    stream = kind.endswith("stream")
    if kind.startswith("v1"):
        path, body = "/v1/chat/completions", {"messages": [{"role": "user", "content": question}], "stream": stream}
    else:
        path, body = "/rag", {"query": question, "stream": stream}
    trace_id = ""
    try:
        headers = {"X-Debug-Trace": "1", **({} if sample else _NO_SAMPLE)}
        with client.stream("POST", path, json=body, headers=headers) as response:
            trace_id = response.headers.get("X-Trace-Id", "")
            lines = _until(response.iter_lines(), began + limit)
            if response.status_code != httpx.codes.OK:
                seen = _code(response.status_code, "\n".join(lines))
            else:
                seen = _end_of_stream(lines) if stream else _body("\n".join(lines))
    except httpx.HTTPError as error:
        seen = _broken(error)
    return Call(kind, began, time.monotonic(), seen, trace_id, sample)


def rate(client: httpx.Client, trace_id: str) -> Call:
    """Post feedback on an answer; `WHOLE` is 204."""
    began = time.monotonic()
    try:
        response = client.post("/feedback", json={"trace_id": trace_id, "score": 1})
        accepted = response.status_code == httpx.codes.NO_CONTENT
        seen = WHOLE if accepted else _code(response.status_code, response.text)
    except httpx.HTTPError as error:
        seen = _broken(error)
    return Call(FEEDBACK, began, time.monotonic(), seen, trace_id)


def _until(lines: Iterator[str], deadline: float) -> Iterator[str]:
    """The lines; an answer that goes on beyond the deadline is given up.

    Raises:
        httpx.ReadTimeout: at the deadline.
    """
    for line in lines:
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer did not end in time")
        yield line


def _end_of_stream(lines: Iterator[str]) -> str:
    """How a stream ended, in the events of `/rag` or OpenAI's chunks."""
    text, seen = False, BROKEN_OFF
    for line in lines:
        if not line.startswith("data:"):
            continue
        said = line[5:].strip()
        if said == "[DONE]":
            return seen if text else BROKEN_OFF
        data = json.loads(said)
        if "error" in data:
            return str(data["error"].get("code"))
        if data.get("degraded"):
            return DEGRADED
        text = text or bool(data.get("text") or _delta(data))
        # The last event of `/rag` has the trace id, and so has OpenAI's last chunk before [DONE].
        if "trace_id" in data:
            seen = WHOLE
            if "choices" not in data:
                return seen if text else BROKEN_OFF
    return BROKEN_OFF


def _delta(data: dict[str, Any]) -> str:
    choices = data.get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")


def _body(text: str) -> str:
    try:
        body = json.loads(text)
    except ValueError:
        return BROKEN_OFF
    if body.get("degraded"):
        return DEGRADED
    return WHOLE if body.get("answer") and body.get("sources") else BROKEN_OFF


def _code(status: int, text: str) -> str:
    """The code of an error of the service; the status of one that comes from elsewhere."""
    try:
        return str(json.loads(text)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"


def _broken(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return HANG
    return NOT_ANSWERED if isinstance(error, httpx.ConnectError) else BROKEN_OFF
