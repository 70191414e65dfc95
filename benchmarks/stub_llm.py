"""`python -m benchmarks.stub_llm --port N`: a model container that answers on a timetable, with little processor time.

It serves SageMaker's container contract (`GET /ping`, `POST .../invocations`) and OpenAI's `POST .../chat/completions`.
The first segment of the path is the timetable, for example `/50-100-10/invocations`: first token after 50 ms, 100
tokens, 10 ms apart. The time of every token is counted from the request, so that a late token delays no other, and the
ideal total of a request is known: 50 + 99 x 10 = 1,040 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import uvloop

from localcloud.ports import LOOPBACK

MODEL = "stub/model"
PROMPT_TOKENS = 40


@dataclass(frozen=True)
class Timetable:
    """Times at which the stub sends tokens.

    Attributes:
        ttft_ms: time to the first token.
        tokens: number of tokens.
        gap_ms: time from one token to the next.
    """

    ttft_ms: float
    tokens: int
    gap_ms: float

    @property
    def path(self) -> str:
        """Path segment that selects it."""
        return f"{self.ttft_ms:g}-{self.tokens}-{self.gap_ms:g}"

    @property
    def total_ms(self) -> float:
        """Ideal time from request to last token, in milliseconds."""
        return self.ttft_ms + (self.tokens - 1) * self.gap_ms

    @classmethod
    def of(cls, segment: str) -> Timetable:
        """The timetable that a path segment selects.

        Raises:
            ValueError: it is not a timetable.
        """
        ttft, tokens, gap = segment.split("-")
        return cls(float(ttft), int(tokens), float(gap))


STANDARD = Timetable(50, 100, 10)
"""Timetable of all overhead and throughput figures."""
SHORT = Timetable(1, 5, 1)
"""Timetable of many short requests: for memory, and for the cost of a request apart from its tokens."""


def _sse(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _envelope(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL}
    return {**head, "choices": choices, **more}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}


@lru_cache(maxsize=16)
def pieces(timetable: Timetable) -> tuple[bytes, ...]:
    """Bytes that are sent at each time: one token each, the last one together with the end of the stream."""
    out = []
    for number in range(timetable.tokens):
        delta = {"content": f"token{number} "} | ({"role": "assistant"} if number == 0 else {})
        out.append(_chunked(_sse(_envelope([{"index": 0, "delta": delta, "finish_reason": None}]))))
    stop = _sse(_envelope([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    usage = _sse(_envelope([], usage=_usage(timetable.tokens)))
    out[-1] += _chunked(stop + usage + b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return tuple(out)


@lru_cache(maxsize=16)
def whole_answer(timetable: Timetable) -> bytes:
    """Body of the answer to a request without `stream`."""
    text = "".join(f"token{number} " for number in range(timetable.tokens))
    message = {"role": "assistant", "content": text}
    body = _envelope([{"index": 0, "message": message, "finish_reason": "stop"}], usage=_usage(timetable.tokens))
    return json.dumps(body | {"object": "chat.completion"}).encode()


def _response(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(body),
        body,
    )


_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class StubProtocol(asyncio.Protocol):
    """One connection; requests are sequential, bodies have a Content-Length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for answers."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the answer in progress."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is complete."""
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._answer(head.split(b" ", 2)[1].decode(), rest[:length])

    def _answer(self, path: str, body: bytes) -> None:
        segments = path.strip("/").split("/")
        if segments == ["ping"]:
            self._transport.write(_response("200 OK", b"{}"))
            return
        try:
            timetable, request = Timetable.of(segments[0]), json.loads(body)
        except ValueError:
            self._transport.write(_response("404 Not Found", b'{"error": {"message": "no such timetable"}}'))
            return
        now = self._loop.time()
        if request.get("stream"):
            self._transport.write(_STREAM_HEAD)
            self._at(now + timetable.ttft_ms / 1000, 0, pieces(timetable), timetable.gap_ms / 1000)
        else:
            # A whole answer takes as long as a streamed one: until the last token.
            self._timer = self._loop.call_at(
                now + timetable.total_ms / 1000, self._transport.write, _response("200 OK", whole_answer(timetable))
            )

    def _at(self, when: float, number: int, out: tuple[bytes, ...], gap: float) -> None:
        self._timer = self._loop.call_at(when, self._send, when, number, out, gap)

    def _send(self, when: float, number: int, out: tuple[bytes, ...], gap: float) -> None:
        self._transport.write(out[number])
        if number + 1 < len(out):
            self._at(when + gap, number + 1, out, gap)


async def serve(host: str, port: int) -> None:
    """Serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(StubProtocol, host, port)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.host, options.port))


if __name__ == "__main__":
    main()
