"""Asks a chat model for one JSON object of a given shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from importlib import resources
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from services.common.breaker import CircuitBreaker, CircuitOpen
from services.common.sagemaker import ChatChunk, InvocationError

AnswerT = TypeVar("AnswerT", bound=BaseModel)

# An engine that ignores max_tokens must not fill the memory.
MAX_ANSWER_CHARS = 20_000


class StructuredAnswerFailed(Exception):
    """The model gave no answer of the requested shape; the message is one sentence without the model's text."""


class ChatModel(Protocol):
    """The part of `services.common.sagemaker.SageMakerChat` that is used here."""

    def stream(self, body: dict[str, Any]) -> AsyncGenerator[ChatChunk, None]:
        """Chunks of the answer to a chat completion request."""
        ...


class StructuredChat:
    """A chat model that answers with JSON within a time limit; safe for concurrent use."""

    def __init__(self, chat: ChatModel, timeout_seconds: float, breaker: CircuitBreaker | None = None) -> None:
        """Keep the parts.

        Args:
            chat: the model.
            timeout_seconds: upper bound of one answer.
            breaker: opens when the model keeps failing; counts TimeoutError and InvocationError.
        """
        self._chat = chat
        self._timeout = timeout_seconds
        self._breaker = breaker

    async def ask(self, prompt: str, question: dict[str, Any], answer: type[AnswerT], max_tokens: int) -> AnswerT:
        """The model's answer as `answer`, whose JSON schema goes along as `response_format`.

        Args:
            prompt: the system message.
            question: becomes the user message as JSON, so that no text in it can end early and turn into instructions.
            answer: what the answer has to look like.
            max_tokens: longest answer.

        Raises:
            StructuredAnswerFailed: the model failed, took too long, or answered with something else.
        """
        body = {
            "messages": [
                {"role": "system", "content": prompt},
                {"role": "user", "content": json.dumps(question, ensure_ascii=False)},
            ],
            "max_tokens": max_tokens,
            "temperature": 0.0,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": answer.__name__, "schema": answer.model_json_schema(), "strict": True},
            },
        }
        try:
            with self._breaker.call() if self._breaker else nullcontext():
                async with asyncio.timeout(self._timeout):
                    text = await self._text(body)
        except CircuitOpen as error:
            raise StructuredAnswerFailed(str(error)) from None
        except TimeoutError:
            raise StructuredAnswerFailed(f"The model did not answer within {self._timeout:g} s.") from None
        except InvocationError as error:
            raise StructuredAnswerFailed(str(error)) from None
        # Engines without guided decoding often put a fence or a sentence around the object.
        try:
            return answer.model_validate_json(text[text.find("{") : text.rfind("}") + 1])
        except ValidationError:
            raise StructuredAnswerFailed("The model's answer is not JSON of the asked shape.") from None

    async def _text(self, body: dict[str, Any]) -> str:
        parts: list[str] = []
        length = 0
        async with aclosing(self._chat.stream(body)) as chunks:
            async for chunk in chunks:
                parts.append(chunk.text)
                length += len(chunk.text)
                if length > MAX_ANSWER_CHARS:
                    raise StructuredAnswerFailed("The model's answer does not end.")
        return "".join(parts)


def read_prompt(name: str) -> str:
    """A prompt of the package by its name and version, for example `expand_query.v1`."""
    return (resources.files("services.rag") / "prompts" / f"{name}.txt").read_text(encoding="utf-8").strip()
