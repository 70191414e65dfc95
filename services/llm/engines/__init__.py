"""What an engine is, and which one the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from services.llm.schemas import ChatRequest, Usage


@dataclass(frozen=True)
class Piece:
    """A piece of an answer: text as it comes, and with the last piece why it ended and what it took."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


class EngineError(RuntimeError):
    """The engine failed; the message is fit for the caller.

    Attributes:
        status: HTTP status for the caller.
    """

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class Engine(Protocol):
    """Generates; knows nothing of HTTP."""

    def generate(self, request: ChatRequest) -> AsyncIterator[Piece]:
        """Pieces of the answer; the last one has a finish reason and usage.

        Raises:
            EngineError: before or between pieces.
        """

    async def close(self) -> None:
        """Release what the engine holds."""
