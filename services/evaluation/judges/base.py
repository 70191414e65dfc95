"""Base class of the judges, as Opik's metrics call them: answers of a checked shape, every call counted."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from opik.evaluation.models import base_model
from pydantic import BaseModel

from services.common.text import estimate_tokens
from services.evaluation.judges.errors import JudgeAnswerMalformed
from services.evaluation.judges.meter import Meter
from services.evaluation.judges.structured import check, repair_request

MAX_ANSWER_TOKENS = 700
"""Limit of a verdict with its reasons; a longer answer is cut off and asked for again."""
TIMEOUT_SECONDS = 60.0
ATTEMPTS = 3

Message = dict[str, str]


@dataclass(frozen=True)
class Completion:
    """Answer of a provider.

    Attributes:
        text: the answer.
        input_tokens: count of the provider, None when it gives none.
        output_tokens: likewise.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None


class Judge(base_model.OpikBaseModel):  # type: ignore[misc]  # the SDK is untyped here
    """Base of the providers; safe between threads, of which at most `concurrency` ask at the same time."""

    def __init__(self, model_name: str, meter: Meter, concurrency: int) -> None:
        """Keep the parts.

        Args:
            model_name: recorded with the experiment.
            meter: counts calls and tokens, and stops at the budget.
            concurrency: calls at the same time; others wait.
        """
        super().__init__(model_name)
        self.meter = meter
        self.concurrency = concurrency
        self._slots = threading.BoundedSemaphore(concurrency)

    @abstractmethod
    def complete(self, messages: list[Message], shape: type[BaseModel] | None) -> Completion:
        """Ask the provider once, with its own retries of transient failures.

        Args:
            messages: in OpenAI's shape.
            shape: model of the answer's JSON, None for text.

        Raises:
            JudgeCallFailed: no answer.
        """

    def close(self) -> None:
        """Close the connections; the judge cannot be used afterwards."""

    def generate_string(self, input: str, response_format: type[BaseModel] | None = None, **_: Any) -> str:
        """The answer to one message; see `generate_chat_completion`."""
        message = self.generate_chat_completion([{"role": "user", "content": input}], response_format)
        return str(message["content"])

    def generate_provider_response(self, messages: list[Message], **_: Any) -> Completion:
        """The provider's unchecked answer."""
        return self._counted(messages, None)

    def generate_chat_completion(
        self, messages: list[Message], response_format: type[BaseModel] | None = None, **_: Any
    ) -> Message:
        """The answer as an assistant's message; with a shape, its content is JSON of that shape.

        A malformed answer is sent back to the model with its problems, once.

        Raises:
            JudgeCallFailed: no answer.
            JudgeAnswerMalformed: not of the asked shape, twice.
            JudgingStopped: the budget is used up.
        """
        answer = self._counted(messages, response_format).text
        if response_format is not None:
            try:
                answer = check(answer, response_format)
            except JudgeAnswerMalformed as problem:
                answer = self._repaired(messages, answer, problem, response_format)
        return {"role": "assistant", "content": answer}

    def _repaired(
        self, messages: list[Message], answer: str, problem: JudgeAnswerMalformed, shape: type[BaseModel]
    ) -> str:
        again: list[Message] = [
            *messages,
            # Some providers refuse an empty turn.
            {"role": "assistant", "content": answer.strip() or "(nothing)"},
            {"role": "user", "content": repair_request(problem, shape)},
        ]
        text = self._counted(again, shape).text
        try:
            checked = check(text, shape)
        except JudgeAnswerMalformed as second:
            raise JudgeAnswerMalformed(f"malformed twice: {second}") from None
        self.meter.repaired()
        return checked

    def _counted(self, messages: list[Message], shape: type[BaseModel] | None) -> Completion:
        asked = sum(estimate_tokens(message["content"]) for message in messages)
        with self._slots:
            reserved = self.meter.reserve(asked, MAX_ANSWER_TOKENS)
            try:
                completion = self.complete(messages, shape)
            except BaseException:
                self.meter.release(reserved)
                raise
        self.meter.settle(
            reserved,
            asked if completion.input_tokens is None else completion.input_tokens,
            estimate_tokens(completion.text) if completion.output_tokens is None else completion.output_tokens,
        )
        return completion
