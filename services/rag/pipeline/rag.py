"""The path of a question through the RAG service: retrieve, build the prompt, generate, record.

A question arrives at a route (`services/rag/api/routes/rag.py` for JSON and Server-Sent Events, `openai.py` beside it
for OpenAI clients), after the middleware has checked key, rate and size. The route makes a `Question` and reads the
events that `RagPipeline.answer` yields. A route that streams sends each event on as it comes; one that does not
collects them into one body. All of it runs in one process: the steps on its event loop, CPU work (embedding,
re-ranking, a real tokenizer) on the threads of `embeddings/pool.py`; traces and samples are sent by threads of their
own.

1. Sizes: `check` refuses a question or an answer length that is too large before any work is done (422).
2. Gate: when the model is known to sleep and enough requests wait for it, the question is refused at once (503).
3. Retrieve (`retrieve.py`), unless the request switched it off: embed the question, find other wordings and filters,
   search three collections at the same time, fuse and re-rank the hits. All of it has ten seconds.
4. Prompt (`prompt.py`): the documents, earlier turns and the question, cut to the model's window. Where the guess of
   their tokens is near a budget, the model's container counts them (`counts.py`).
5. Generate (`generate.py`): one streamed call of the SageMaker endpoint. While the endpoint sleeps, `waking.py` holds
   the request and yields `Status("waking")` as a sign of life.
6. Sources, then `Done` with token counts and timings: always the last event of an answer.
7. Record (`recorder.py`): the trace, the metrics, a log line. An answer with retrieval becomes a sample for
   the evaluation when the hash of its trace's id falls below the sample rate; a request that failed at work always
   does.

When something fails:

- Retrieval: 503, or an answer without documents and `degraded: ["retrieval"]` where the request allows that.
- Query understanding or the re-ranker: the question goes on without it; `degraded: ["rerank"]` for the re-ranker.
- The LLM: before the first byte of the response, an error with its own status; afterwards the event `error`.
  `api/protocol/errors.py` says which exception becomes which status.
- The caller goes away or stops reading: the iterator is closed, which cancels the call of the LLM.
- Opik or the samples queue: callers notice nothing; traces and samples wait in memory, then in a bounded file.

The trace is ended in every case, and what failed is recorded whatever the tracing budget says. Where a sample goes
next: `services/evaluation/handlers/collect_samples.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from services.common.logging import concern_logger
from services.common.tracing import Scope, Trace
from services.rag.conversation import ClientDisconnected, Done, Event, Question, Sources, Status
from services.rag.embeddings.pool import CpuPool
from services.rag.errors import Overloaded, QuestionRefused, StoreMismatch, StoreUnavailable
from services.rag.pipeline.counts import ModelCounts, fitted
from services.rag.pipeline.generate import Generation, Generator
from services.rag.pipeline.prompt import Prompt, PromptBuilder
from services.rag.pipeline.recorder import Recorder, steps_ms
from services.rag.pipeline.retrieve import Retriever
from services.rag.pipeline.sizes import GUESS_FACTOR
from services.rag.pipeline.tokens import TokenCounter
from services.rag.pipeline.waking import WakeGate, WakingGenerator
from services.rag.stores.documents import Hit

retrieval_logger = concern_logger("retrieval")


class RagPipeline:
    """The steps from a question to its answer; safe for concurrent use."""

    def __init__(
        self,
        retriever: Retriever,
        prompts: PromptBuilder,
        generator: Generator,
        gate: WakeGate,
        recorder: Recorder,
        pool: CpuPool,
        counts: ModelCounts,
        *,
        query_max_tokens: int,
    ) -> None:
        self._retriever = retriever
        self._prompts = prompts
        self._generator = generator
        self._gate = gate
        self._waking_generator = WakingGenerator(generator, gate)
        self._recorder = recorder
        self._pool = pool
        self._counts = counts
        self._query_max_tokens = query_max_tokens

    async def check(self, question: Question) -> None:
        """Check the sizes before any work is done: by a guess, or by a count where that is near a limit.

        Raises:
            QuestionRefused: the question or the requested answer is too long.
        """
        about, asked = "about ", self._prompts.tokens.count(question.query)
        if self._near(asked, self._query_max_tokens):
            counted = await self._counts.text(question.query)
            about, asked = (about, asked) if counted is None else ("", counted)
        if asked > self._query_max_tokens:
            raise QuestionRefused(
                f"The question has {about}{asked} tokens; at most {self._query_max_tokens} are accepted.",
                "query_too_long",
                "query",
            )
        most, requested = self._generator.max_output_tokens, question.sampling.max_tokens
        if requested is not None and requested > most:
            raise QuestionRefused(
                f"An answer of {requested} tokens was asked for; at most {most} are given.",
                "output_too_long",
                "max_tokens",
            )
        bare, output = self._prompts.bare(question.query, system=question.system), self._output(question)
        about, needed = "about ", self._prompts.guess(bare)
        if self._near(needed, self._prompts.window(output)):
            counted = await self._counts.messages(bare)
            about, needed = (about, needed) if counted is None else ("", counted)
        if needed > self._prompts.window(output):
            error = self._prompts.too_long(needed, output, about)
            raise QuestionRefused(str(error), "context_length_exceeded", "messages")

    async def answer(self, question: Question, trace: Trace) -> AsyncGenerator[Event, None]:
        """Yield the answer's events; `Done` is the last one. Closing or cancelling the iterator cancels the LLM call.

        Args:
            question: what to answer.
            trace: a new trace, or the caller's without spans of this service; this method fills, ends and submits it.

        Raises:
            InvocationError: the LLM gave no complete answer.
            StoreUnavailable, StoreMismatch: retrieval failed.
            Overloaded: too much CPU work is waiting.
        """
        sampling = self._generator.with_defaults(question.sampling)
        whole = self._recorder.begin(
            question, trace, reranker_id=self._retriever.reranker_id, temperature=sampling.temperature
        )
        try:
            async with aclosing(self._steps(question, trace, whole or trace)) as events:
                async for event in events:
                    yield event
        except BaseException as error:
            self._recorder.end(trace, whole, _cause(error))
            raise
        else:
            self._recorder.end(trace, whole, None)

    async def _steps(self, question: Question, trace: Trace, root: Scope) -> AsyncGenerator[Event, None]:
        hits: list[Hit] | None = None
        degraded: tuple[str, ...] = ()
        self._gate.check()
        if question.enable_rag:
            yield Status("retrieving")
            hits, degraded = await self._retrieve(question, trace, root)
        with root.child("format_prompt", query=question.query) as span:
            prompt = await self._format(question, hits)
        self._recorder.record_prompt(question, trace, span, prompt)

        yield Status("generating")
        generation = Generation()
        with root.child("call_llm_service", "llm", messages=prompt.messages) as span:
            try:
                stream = self._waking_generator.stream(
                    prompt, generation, question.sampling, question.wake_timeout_seconds
                )
                async with aclosing(stream) as events:
                    async for event in events:
                        yield event
            finally:
                usage = generation.usage(prompt, self._prompts.tokens.count)
                self._recorder.record_generation(trace, span, generation, usage)

        if not usage["estimated"]:
            self._prompts.tokens.learn(prompt.sizes.chars, usage["prompt_tokens"])
        ranked_by = trace.metadata["reranker_id"]
        yield Sources([_source(number, hit, ranked_by) for number, hit in enumerate(prompt.used, 1)])
        timings = generation.timings(question.received, time.perf_counter(), usage["completion_tokens"])
        self._recorder.record_answer(trace, generation.answer, usage, timings)
        if hits is not None:
            self._recorder.offer_sample(question, trace, prompt, generation.answer)
        shown: dict[str, Any] = {key: timings[key] for key in ("ttft_ms", "tpot_ms", "total_ms")}
        shown["steps"] = steps_ms(trace)
        finish_reason = generation.finish_reason or "stop"
        yield Done(trace.id, trace.metadata["model_id"], usage, shown, finish_reason, degraded)

    async def _retrieve(
        self, question: Question, trace: Trace, root: Scope
    ) -> tuple[list[Hit] | None, tuple[str, ...]]:
        """Retrieve; returns the hits (None where the request allows an answer without) and the unavailable steps."""
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
            self._recorder.record_degraded(trace, degraded)
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
        if self._prompts.tokens.exact:
            # A real tokenizer takes milliseconds for a long prompt, which would delay the tokens of other callers.
            return await self._pool.run(build)

        def with_counter(tokens: TokenCounter | None) -> Prompt:
            return build(tokens=tokens)

        return await fitted(with_counter, self._prompts.bare(question.query, system=question.system), self._counts)

    def _near(self, guessed: int, limit: int) -> bool:
        """Whether a guess does not tell on which side of a limit a text is."""
        return not self._prompts.tokens.exact and guessed * GUESS_FACTOR > limit

    def _output(self, question: Question) -> int:
        return self._generator.with_defaults(question.sampling).max_tokens or 0


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
