"""Answers a question: retrieve, format, generate, and tell monitoring about it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from services.common.anonymise import Anonymiser
from services.common.logging import concern_logger
from services.common.sagemaker import Throttled
from services.common.tracer import Tracer
from services.common.tracing import Scope, Span, Trace
from services.rag.embeddings.pool import CpuPool, Overloaded
from services.rag.monitoring.failures import failed_sample
from services.rag.observability.metrics import Measured, Metrics
from services.rag.pipeline.events import Done, Event, Question, Sources, Status
from services.rag.pipeline.generate import Generation, Generator
from services.rag.pipeline.prompt import Prompt, PromptBuilder, PromptTooLong
from services.rag.pipeline.retrieve import Retriever
from services.rag.pipeline.waking import PatientGenerator, WakeGate
from services.rag.prompts.library import Template
from services.rag.stores.documents import Hit, StoreMismatch, StoreUnavailable

logger = concern_logger("llm")
retrieval_logger = concern_logger("retrieval")

TRACE_NAME = "generate"
SECONDS_PER_HOUR = 3600


class ClientDisconnected(Exception):  # noqa: N818 - the name says what happened
    """The caller went away before the answer was complete."""


class QuestionRefused(Exception):  # noqa: N818 - the name says what happened
    """A question is larger than this service accepts; the message may be shown to a caller.

    Attributes:
        code: of the error, in words for programs.
        param: what is too large.
    """

    def __init__(self, message: str, code: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class SampleSink(Protocol):
    """Takes samples for evaluation."""

    def offer(self, sample: dict[str, Any]) -> bool:
        """Accept or refuse a sample without blocking."""
        ...


@dataclass(frozen=True)
class Facts:
    """What every trace and sample of this process has in common."""

    stage: str
    release: str
    model_id: str
    embedding_model_id: str
    sample_rate: float
    price_per_hour_usd: float | None
    query_max_tokens: int


class RagPipeline:
    """The path of a question through the service; safe for concurrent use."""

    def __init__(
        self,
        retriever: Retriever,
        prompts: PromptBuilder,
        generator: Generator,
        gate: WakeGate,
        tracer: Tracer,
        samples: SampleSink,
        facts: Facts,
        pool: CpuPool,
        metrics: Metrics,
        anonymiser: Anonymiser,
    ) -> None:
        self._retriever = retriever
        self._prompts = prompts
        self._generator = generator
        self._gate = gate
        self._patient = PatientGenerator(generator, gate)
        self._tracer = tracer
        self._samples = samples
        self._facts = facts
        self._pool = pool
        self._metrics = metrics
        self._anonymiser = anonymiser

    def check(self, question: Question) -> None:
        """Look at the sizes before any work is done.

        Raises:
            QuestionRefused: the question or the wished answer is too long.
        """
        asked = self._prompts.tokens.count(question.query)
        if asked > self._facts.query_max_tokens:
            raise QuestionRefused(
                f"The question has about {asked} tokens; at most {self._facts.query_max_tokens} are accepted.",
                "query_too_long",
                "query",
            )
        most, wished = self._generator.max_output_tokens, question.sampling.max_tokens
        if wished is not None and wished > most:
            raise QuestionRefused(
                f"An answer of {wished} tokens was asked for; at most {most} are given.",
                "output_too_long",
                "max_tokens",
            )
        try:
            self._prompts.room(question.query, system=question.system, max_output_tokens=self._output(question))
        except PromptTooLong as error:
            raise QuestionRefused(str(error), "context_length_exceeded", "messages") from None

    async def answer(self, question: Question, trace: Trace) -> AsyncGenerator[Event, None]:
        """Yield the answer's events; `Done` is the last one. Closing or cancelling the iterator cancels the LLM call.

        Args:
            question: what to answer.
            trace: a new trace, or the caller's with nothing of ours in it; this method fills, ends and hands it over.

        Raises:
            InvocationError: the LLM gave no complete answer.
            StoreUnavailable, StoreMismatch: retrieval failed.
            Overloaded: too much CPU work is waiting.
        """
        trace.input = {"query": question.query, "enable_rag": question.enable_rag, "author": question.author}
        trace.tags = ["rag" if question.enable_rag else "no-rag", self._facts.stage]
        trace.metadata = self._common(question)
        # The trace itself stands for the whole, but for a caller's: that one gets one step with ours inside.
        whole = trace.span(TRACE_NAME, **trace.input) if trace.continued else None
        try:
            async with aclosing(self._steps(question, trace, whole or trace)) as events:
                async for event in events:
                    yield event
        except BaseException as error:
            self._end(trace, whole, _cause(error))
            raise
        else:
            self._end(trace, whole, None)

    async def _steps(self, question: Question, trace: Trace, root: Scope) -> AsyncGenerator[Event, None]:
        hits: list[Hit] | None = None
        degraded: tuple[str, ...] = ()
        self._gate.check()
        if question.enable_rag:
            yield Status("retrieving")
            hits, degraded = await self._retrieve(question, trace, root)
        with root.child("format_prompt", query=question.query) as span:
            prompt = await self._format(question, hits)
            span.output = {"messages": prompt.messages}
            span.metadata = _prompt_facts(prompt.template)
        trace.metadata |= self._prompt_metadata(question, prompt)

        yield Status("generating")
        generation = Generation()
        with root.child("call_llm_service", "llm", messages=prompt.messages) as span:
            span.model, span.provider = self._facts.model_id, "sagemaker"
            try:
                stream = self._patient.stream(prompt, generation, question.sampling, question.patience_seconds)
                async with aclosing(stream) as events:
                    async for event in events:
                        yield event
            finally:
                # Also when it broke off: how far it came is what one looks for in such a trace.
                usage = generation.usage(prompt, self._prompts.tokens.count)
                span.usage = {key: usage[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
                span.cost_usd = self._cost((datetime.now(UTC) - span.start_time).total_seconds())
                span.output = {"answer": generation.answer, "finish_reason": generation.finish_reason}
                if generation.held_seconds:
                    span.metadata = {"held_ms": round(generation.held_seconds * 1000, 2)}

        if not usage["estimated"]:
            self._prompts.tokens.learn(prompt.chars, usage["prompt_tokens"])
        ranked_by = trace.metadata["reranker_id"]
        yield Sources([_source(number, hit, ranked_by) for number, hit in enumerate(prompt.used, 1)])
        timings = generation.timings(question.received, time.perf_counter(), usage["completion_tokens"])
        trace.output = {"answer": generation.answer}
        trace.metadata |= self._measurements(usage, timings)
        if hits is not None:
            self._sample(question, trace, prompt, generation.answer)
        shown: dict[str, Any] = {key: timings[key] for key in ("ttft_ms", "tpot_ms", "total_ms")}
        shown["steps"] = _steps_ms(trace)
        finish_reason = generation.finish_reason or "stop"
        yield Done(trace.id, self._facts.model_id, usage, shown, finish_reason, degraded)

    async def _retrieve(
        self, question: Question, trace: Trace, root: Scope
    ) -> tuple[list[Hit] | None, tuple[str, ...]]:
        """The hits and what they had to do without; or, where the request allows it, no hits."""
        degraded: tuple[str, ...] = ()
        hits: list[Hit] | None = None
        try:
            hits = await self._retriever.retrieve(question.query, question.author, root)
            if "reranker_degraded" in trace.metadata:
                degraded = ("rerank",)
        except (StoreUnavailable, StoreMismatch, Overloaded) as error:
            if not question.allow_without_context:
                raise
            retrieval_logger.warning("answering without context", extra={"reason": str(error)})
            degraded = ("retrieval",)
        if degraded:
            trace.metadata["degraded"] = list(degraded)
            trace.tags.append("degraded")
        return hits, degraded

    async def _format(self, question: Question, hits: list[Hit] | None) -> Prompt:
        build = partial(
            self._prompts.build,
            question.query,
            hits,
            history=question.history,
            system=question.system,
            max_output_tokens=self._output(question),
        )
        # A real tokenizer takes milliseconds for a long prompt, which other callers' tokens need not wait for.
        return await self._pool.run(build) if self._prompts.tokens.exact else build()

    def _output(self, question: Question) -> int:
        return self._generator.settled(question.sampling).max_tokens or 0

    def _common(self, question: Question) -> dict[str, Any]:
        return {
            "model_id": self._facts.model_id,
            "embedding_model_id": self._facts.embedding_model_id,
            "reranker_id": self._retriever.reranker_id if question.enable_rag else None,
            "temperature": self._generator.settled(question.sampling).temperature,
            "stage": self._facts.stage,
            "release": self._facts.release,
            "request_id": question.request_id,
        }

    def _prompt_metadata(self, question: Question, prompt: Prompt) -> dict[str, Any]:
        count = self._prompts.tokens.count
        return {
            **_prompt_facts(prompt.template),
            # Where Opik's pages look for the prompts of a trace.
            "opik_prompts": [_opik_prompt(prompt.template)],
            "prompt_template": prompt.template.text,
            "prompt_template_variables": {"question": question.query, "context": prompt.context},
            "query_tokens": count(question.query),
            "context_tokens": count(prompt.context),
            "budget_tokens_estimated": not self._prompts.tokens.exact,
            "history_turns": len(question.history) - prompt.dropped_turns,
            "history_turns_dropped": prompt.dropped_turns,
        }

    def _measurements(self, usage: dict[str, Any], timings: dict[str, float | None]) -> dict[str, Any]:
        return {
            "input_tokens": usage["prompt_tokens"],
            "answer_tokens": usage["completion_tokens"],
            "total_tokens": usage["total_tokens"],
            "tokens_estimated": usage["estimated"],
            "cost_estimate_usd": self._cost((timings["total_ms"] or 0.0) / 1000),
            **timings,
        }

    def _cost(self, seconds: float) -> float | None:
        """The whole endpoint's price, in US dollars, for some time: an upper bound, since requests share it."""
        price = self._facts.price_per_hour_usd
        return None if price is None else round(price * seconds / SECONDS_PER_HOUR, 6)

    def _sample(self, question: Question, trace: Trace, prompt: Prompt, answer: str) -> None:
        if trace.rehearsed or not sampled(trace.id, self._facts.sample_rate):
            return
        clean = self._anonymiser.text
        accepted = self._samples.offer(
            {
                "trace_id": trace.id,
                "query": clean(question.query),
                "answer": clean(answer),
                "context": [clean(hit.chunk.text) for hit in prompt.used],
                "metadata": {
                    "model_id": self._facts.model_id,
                    "embedding_model_id": self._facts.embedding_model_id,
                    **_prompt_facts(prompt.template),
                    "stage": self._facts.stage,
                    "release": self._facts.release,
                },
            }
        )
        trace.metadata["sampled"] = accepted

    def _sample_failure(self, trace: Trace, error: Exception) -> None:
        if trace.rehearsed or trace.metadata.get("sampled"):
            return
        sample = failed_sample(trace, error, self._anonymiser)
        if sample is not None:
            trace.metadata["sampled"] = self._samples.offer(sample)

    def _end(self, trace: Trace, whole: Span | None, error: BaseException | None) -> None:
        if whole is not None:
            whole.output, whole.metadata, whole.tags = trace.output, trace.metadata, trace.tags
        trace.end(error)
        if isinstance(error, Exception) and not isinstance(error, ClientDisconnected):
            self._sample_failure(trace, error)
        self._tracer.submit(trace, always=error is not None or bool(trace.metadata.get("sampled")))
        steps = _steps_ms(trace)
        self._measure(trace, steps, error)
        outcome = type(error).__name__ if error else "ok"
        logger.info(
            "question answered" if error is None else "question not answered",
            extra={"outcome": outcome, "total_ms": trace.metadata.get("total_ms"), "steps": steps},
        )

    def _measure(self, trace: Trace, steps: dict[str, float], error: BaseException | None) -> None:
        if isinstance(error, Overloaded | Throttled):
            self._metrics.shed("cpu" if isinstance(error, Overloaded) else "llm")
        found = trace.metadata
        self._metrics.answered(
            Measured(
                ttft=_seconds(found.get("ttft_ms")),
                tpot=_seconds(found.get("tpot_ms")),
                prompt_tokens=found.get("input_tokens"),
                completion_tokens=found.get("answer_tokens"),
                retrieval=_seconds(steps.get("retriever.retrieve_top_k")),
                rerank=_seconds(steps.get("retriever.rerank")),
            )
        )


def sampled(trace_id: str, rate: float) -> bool:
    """Whether a trace belongs to the sample: the same answer for the same id in every process."""
    return int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8], "big") < rate * 2**64


def _prompt_facts(template: Template) -> dict[str, str]:
    return {
        "prompt_name": template.name,
        "prompt_version": template.version,
        "prompt_commit": template.commit,
    }


def _opik_prompt(template: Template) -> dict[str, Any]:
    """A prompt as the SDK writes it into metadata."""
    version = {"template": template.text, "commit": template.commit}
    return {"name": template.name, "template_structure": "text", "version": version}


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _cause(error: BaseException) -> BaseException:
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return ClientDisconnected("The caller went away before the answer was complete.")
    return error


def _source(number: int, hit: Hit, ranked_by: str) -> dict[str, Any]:
    return {
        "id": number,
        "title": hit.chunk.title,
        "author": hit.chunk.author,
        "type": hit.collection,
        "url": hit.chunk.url,
        "document_id": hit.chunk.document_id,
        "chunk_index": hit.chunk.chunk_index,
        "score": round(hit.score, 4),
        "ranked_by": ranked_by,
    }


def _steps_ms(trace: Trace) -> dict[str, float]:
    """Milliseconds per finished step; steps of the same name (searches) ran at the same time: the longest counts."""
    steps: dict[str, float] = {}
    for span in trace.spans:
        if span.end_time is not None and span.name != TRACE_NAME:
            steps[span.name] = max(steps.get(span.name, 0.0), round(span.duration_ms, 2))
    return steps
