"""The interface of engines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.llm.schemas import ChatRequest, Message


@dataclass(frozen=True)
class Piece:
    """New text of the answer."""

    text: str


@dataclass(frozen=True)
class End:
    """The answer is complete: why it ended, and token counts in OpenAI's shape, None where they are not known."""

    finish_reason: str
    usage: dict[str, Any] | None


Event = Piece | End


class Engine(Protocol):
    """Generates answers. Created unloaded; `load` may take long and runs before the first request."""

    async def load(self) -> None:
        """Make ready to answer.

        Raises:
            ConfigurationError: what the engine needs cannot be used.
        """
        ...

    async def close(self) -> None:
        """Release what `load` took."""
        ...

    def tokens(self, text: str | Sequence[Message]) -> list[int] | None:
        """Tokens of a text, or of messages in the template of a chat up to the answer; None without a tokenizer."""
        ...

    def generate(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Pieces of the answer, then one End. Closing the generator stops the work.

        Raises:
            LlmError: the request cannot be answered.
        """
        ...
