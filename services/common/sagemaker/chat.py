"""Parser of chat completion streams in OpenAI's shape from the bytes of SageMaker payload parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from services.common.sagemaker.errors import ModelFailed, StreamBroken

# A line of a chat stream is some hundred bytes; a line that does not end is a broken stream, not a reason to grow.
MAX_LINE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """One event of a chat stream.

    Attributes:
        text: new text, possibly empty.
        finish_reason: set on the last chunk that carries text.
        usage: token counts in OpenAI's shape, on the chunk that carries them.
        model: the model's name as the engine reports it.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None


class ChatStreamParser:
    """Turns payload parts into chunks.

    A part may hold several lines or a piece of one, even half of a character. Both framings that SageMaker containers
    use are read: Server-Sent Events (`data: {...}`, vLLM) and JSON lines (`{...}`, LMI).
    """

    def __init__(self) -> None:
        self._rest = b""
        self.complete = False
        """Whether the engine said that the answer is complete (`[DONE]` or a finish reason)."""

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Chunks of the lines that `data` completes.

        Raises:
            ModelFailed: the engine reported an error inside the stream.
            StreamBroken: a line is not part of a chat stream.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise StreamBroken("The model's stream holds a line that does not end.")
        return [chunk for line in lines if (chunk := self._line(line)) is not None]

    def finish(self) -> list[ChatChunk]:
        """Chunks of a last line without a line end.

        Raises:
            StreamBroken: the stream ended before the answer was complete.
        """
        last, self._rest = self._rest, b""
        chunk = self._line(last)
        if not self.complete:
            raise StreamBroken("The model's stream ended before the answer was complete.")
        return [chunk] if chunk is not None else []

    def _line(self, line: bytes) -> ChatChunk | None:
        line = line.strip()
        if line.startswith(b"data:"):
            line = line[5:].strip()
        elif not line.startswith(b"{"):
            return None  # blank lines, comments and other fields of Server-Sent Events
        if line == b"[DONE]":
            self.complete = True
            return None
        try:
            body = orjson.loads(line)
        except ValueError:
            raise StreamBroken("The model's stream holds a line that is not JSON.") from None
        if not isinstance(body, dict):
            raise StreamBroken("The model's stream holds a line that is not a JSON object.")
        return self._chunk(body)

    def _chunk(self, body: dict[str, Any]) -> ChatChunk:
        if body.get("error") or body.get("object") == "error":
            raise ModelFailed("The model reported an error while it was answering.")
        choice = (body.get("choices") or [{}])[0]
        finish_reason = choice.get("finish_reason")
        self.complete = self.complete or finish_reason is not None
        part = choice.get("delta") or choice.get("message") or {}
        return ChatChunk(part.get("content") or "", finish_reason, body.get("usage"), body.get("model"))
