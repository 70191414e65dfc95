"""Calls the LLM and measures its answer."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from services.common.breaker import CircuitBreaker, CircuitOpen
from services.common.sagemaker import ChatChunk, EndpointUnavailable, SageMakerChat
from services.common.text import estimate_tokens
from services.rag.conversation import Sampling
from services.rag.pipeline.prompt import Prompt

DEFAULT_SAMPLING = Sampling()


@dataclass
class Generation:
    """State of an answer while it is generated. Times are `time.perf_counter()` values."""

    parts: list[str] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    reported: dict[str, Any] | None = None
    held_seconds: float = 0.0
    finish_reason: str | None = None
    model: str | None = None
    """Name of the model, as the engine reported it."""

    @property
    def answer(self) -> str:
        """The text so far."""
        return "".join(self.parts)

    def usage(self, prompt: Prompt, count: Callable[[str], int] = estimate_tokens) -> dict[str, Any]:
        """Token counts: as the engine reported them, else its count of the prompt or `count`, marked as estimated."""
        if self.reported and "prompt_tokens" in self.reported and "completion_tokens" in self.reported:
            sent, made = int(self.reported["prompt_tokens"]), int(self.reported["completion_tokens"])
            estimated = False
        else:
            sent = prompt.sizes.counted or sum(count(message["content"]) for message in prompt.messages)
            made, estimated = count(self.answer), True
        return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made, "estimated": estimated}

    def timings(self, received: float, ended: float, tokens: int) -> dict[str, float | None]:
        """Timings in milliseconds, and tokens per second.

        TTFT: request received to first non-empty token. TPOT: (total - TTFT) / (tokens - 1). TBT: gap between
        consecutive token events. TPS: tokens / total.
        """
        total = (ended - received) * 1000
        ttft = (self.arrivals[0] - received) * 1000 if self.arrivals else None
        gaps = sorted((b - a) * 1000 for a, b in zip(self.arrivals, self.arrivals[1:], strict=False))
        return {
            "ttft_ms": _rounded(ttft),
            "tpot_ms": _rounded((total - ttft) / (tokens - 1)) if ttft is not None and tokens > 1 else None,
            "total_ms": _rounded(total),
            "tbt_mean_ms": _rounded(sum(gaps) / len(gaps)) if gaps else None,
            "tbt_p95_ms": _rounded(gaps[min(len(gaps) - 1, int(len(gaps) * 0.95))]) if gaps else None,
            "tokens_per_second": _rounded(tokens / total * 1000) if total > 0 else None,
        }


class Generator:
    """The LLM with this service's sampling settings."""

    def __init__(
        self, client: SageMakerChat, breaker: CircuitBreaker, *, max_output_tokens: int, temperature: float
    ) -> None:
        self._client = client
        self._breaker = breaker
        self._temperature = temperature
        self.max_output_tokens = max_output_tokens
        """Longest answer, for every request."""

    def with_defaults(self, sampling: Sampling) -> Sampling:
        """The request's sampling, with this service's settings where it has none."""
        return replace(
            sampling,
            temperature=self._temperature if sampling.temperature is None else sampling.temperature,
            max_tokens=min(sampling.max_tokens or self.max_output_tokens, self.max_output_tokens),
        )

    async def stream(
        self, prompt: Prompt, generation: Generation, sampling: Sampling = DEFAULT_SAMPLING
    ) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it arrives and fill `generation`; closing cancels the call.

        Raises:
            InvocationError: the LLM gave no complete answer.
        """
        sampling = self.with_defaults(sampling)
        body: dict[str, Any] = {
            "messages": prompt.messages,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.top_p is not None:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        async with aclosing(self._chunks(body)) as chunks:
            async for chunk in chunks:
                generation.reported = chunk.usage or generation.reported
                generation.finish_reason = chunk.finish_reason or generation.finish_reason
                generation.model = chunk.model or generation.model
                if chunk.text:
                    generation.parts.append(chunk.text)
                    generation.arrivals.append(time.perf_counter())
                    yield chunk.text

    async def _chunks(self, body: dict[str, Any]) -> AsyncGenerator[ChatChunk, None]:
        try:
            with self._breaker.call():
                async with aclosing(self._client.stream(body)) as chunks:
                    async for chunk in chunks:
                        yield chunk
        except CircuitOpen as error:
            raise EndpointUnavailable(str(error)) from None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
