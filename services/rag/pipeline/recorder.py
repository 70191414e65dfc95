"""Records one answer: its trace, its sample for the evaluation, its metrics and its log line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.common.anonymise import Anonymiser
from services.common.breaker import CircuitOpen
from services.common.logging import concern_logger
from services.common.sagemaker import EndpointUpdating, NoCapacity, Throttled
from services.common.trace_owners import KEY_NAME, TraceOwners
from services.common.tracer import Tracer
from services.common.tracing import Span, Trace
from services.rag.conversation import ClientDisconnected, Question
from services.rag.errors import Overloaded
from services.rag.pipeline.generate import Generation
from services.rag.pipeline.prompt import Prompt
from services.rag.pipeline.tokens import TokenCounter
from services.rag.prompts.library import Template
from services.rag.sampling.samples import SampleSink
from services.rag.sampling.trace_sample import SAMPLE_METADATA
from services.rag.telemetry.metrics import Measured, Metrics

logger = concern_logger("llm")

TRACE_NAME = "generate"
SECONDS_PER_HOUR = 3600
# Refused before any work was done. Under load these are many, they say nothing about answers, and the service's metrics
# count them.
_REFUSED = (CircuitOpen, EndpointUpdating, NoCapacity, Overloaded, Throttled)


@dataclass(frozen=True)
class Facts:
    """Facts that all traces and samples of this process share."""

    stage: str
    release: str
    model_id: str
    embedding_model_id: str
    sample_rate: float
    price_per_hour_usd: float | None


class Recorder:
    """Fills and submits traces, samples and metrics; safe for concurrent use."""

    def __init__(
        self,
        tracer: Tracer,
        owners: TraceOwners,
        samples: SampleSink,
        metrics: Metrics,
        anonymiser: Anonymiser,
        tokens: TokenCounter,
        facts: Facts,
    ) -> None:
        self._tracer = tracer
        self._owners = owners
        self._samples = samples
        self._metrics = metrics
        self._anonymiser = anonymiser
        self._tokens = tokens
        self._facts = facts

    def begin(
        self, question: Question, trace: Trace, *, reranker_id: str | None, temperature: float | None
    ) -> Span | None:
        """Record the question in a trace.

        Returns:
            The span of the whole answer when the trace is the caller's; None when the trace is our own.
        """
        trace.input = {"query": question.query, "enable_rag": question.enable_rag, "author": question.author}
        trace.tags = ["rag" if question.enable_rag else "no-rag", self._facts.stage]
        trace.metadata = {
            "model_id": self._facts.model_id,
            "embedding_model_id": self._facts.embedding_model_id,
            "reranker_id": reranker_id if question.enable_rag else None,
            "temperature": temperature,
            "stage": self._facts.stage,
            "release": self._facts.release,
            "request_id": question.request_id,
            KEY_NAME: trace.owner,
        }
        return trace.span(TRACE_NAME, **trace.input) if trace.continued else None

    def record_degraded(self, trace: Trace, steps: tuple[str, ...]) -> None:
        """Record which steps were unavailable for an answer."""
        trace.metadata["degraded"] = list(steps)
        trace.tags.append("degraded")

    def record_prompt(self, question: Question, trace: Trace, span: Span, prompt: Prompt) -> None:
        """Record which prompt was built, and from what."""
        count, counted = self._tokens.count, prompt.sizes.counted_context
        span.output = {"messages": prompt.messages}
        span.metadata = _prompt_facts(prompt.template)
        trace.metadata |= {
            **_prompt_facts(prompt.template),
            # Opik's pages read the prompts of a trace here.
            "opik_prompts": [_opik_prompt(prompt.template)],
            "prompt_template": prompt.template.text,
            "prompt_template_variables": {"question": question.query, "context": prompt.context},
            "query_tokens": count(question.query),
            "context_tokens": count(prompt.context) if counted is None else counted,
            "budget_tokens_estimated": counted is None and not self._tokens.exact,
            "history_turns": len(question.history) - prompt.dropped_turns,
            "history_turns_dropped": prompt.dropped_turns,
        }

    def record_generation(self, trace: Trace, span: Span, generation: Generation, usage: dict[str, Any]) -> None:
        """Record a generation, complete or broken off, under the model that the engine named."""
        trace.metadata["model_id"] = generation.model or self._facts.model_id
        span.model, span.provider = trace.metadata["model_id"], "sagemaker"
        span.usage = {key: usage[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
        span.cost_usd = self._cost((datetime.now(UTC) - span.start_time).total_seconds())
        span.output = {"answer": generation.answer, "finish_reason": generation.finish_reason}
        if generation.held_seconds:
            span.metadata = {"held_ms": round(generation.held_seconds * 1000, 2)}

    def record_answer(self, trace: Trace, answer: str, usage: dict[str, Any], timings: dict[str, float | None]) -> None:
        """Record a complete answer, its tokens, cost and timings."""
        trace.output = {"answer": answer}
        trace.metadata |= {
            "input_tokens": usage["prompt_tokens"],
            "answer_tokens": usage["completion_tokens"],
            "total_tokens": usage["total_tokens"],
            "tokens_estimated": usage["estimated"],
            "cost_estimate_usd": self._cost((timings["total_ms"] or 0.0) / 1000),
            **timings,
        }

    def offer_sample(self, question: Question, trace: Trace, prompt: Prompt, answer: str) -> None:
        """Offer an answer from documents to the evaluation, when it belongs to the sample."""
        if trace.unsampled or not is_in_sample(trace.sample_id, self._facts.sample_rate):
            return
        clean = self._anonymiser.text
        accepted = self._samples.offer(
            {
                "id": trace.sample_id,
                "trace_id": trace.id,
                "query": clean(question.query),
                "answer": clean(answer),
                "context": [clean(hit.chunk.text) for hit in prompt.used],
                "metadata": {
                    "model_id": trace.metadata["model_id"],
                    "embedding_model_id": self._facts.embedding_model_id,
                    **_prompt_facts(prompt.template),
                    "stage": self._facts.stage,
                    "release": self._facts.release,
                },
            }
        )
        trace.metadata["sampled"] = accepted

    def end(self, trace: Trace, whole: Span | None, error: BaseException | None) -> None:
        """End a trace and submit it; record its metrics and log it.

        Args:
            trace: of the answer.
            whole: the span that `begin` returned.
            error: why there is no complete answer; None when there is one.
        """
        if whole is not None:
            whole.output, whole.metadata, whole.tags = trace.output, trace.metadata, trace.tags
        trace.end(error)
        if isinstance(error, Exception) and not isinstance(error, ClientDisconnected):
            self._sample_failure(trace, error)
        if self._tracer.submit(trace, always=error is not None or bool(trace.metadata.get("sampled"))):
            self._owners.sent(trace)
        steps = steps_ms(trace)
        self._measure(trace, steps, error)
        outcome = type(error).__name__ if error else "ok"
        logger.info(
            "question answered" if error is None else "question not answered",
            extra={"outcome": outcome, "total_ms": trace.metadata.get("total_ms"), "steps": steps},
        )

    def _cost(self, seconds: float) -> float | None:
        """Price of the whole endpoint for some seconds, in US dollars: an upper bound, since requests share it."""
        price = self._facts.price_per_hour_usd
        return None if price is None else round(price * seconds / SECONDS_PER_HOUR, 6)

    def _sample_failure(self, trace: Trace, error: Exception) -> None:
        if trace.unsampled or trace.metadata.get("sampled"):
            return
        sample = failed_sample(trace, error, self._anonymiser)
        if sample is not None:
            trace.metadata["sampled"] = self._samples.offer(sample)

    def _measure(self, trace: Trace, steps: dict[str, float], error: BaseException | None) -> None:
        if isinstance(error, Overloaded | Throttled):
            self._metrics.count_shed("cpu" if isinstance(error, Overloaded) else "llm")
        found = trace.metadata
        self._metrics.observe_answer(
            Measured(
                ttft=_seconds(found.get("ttft_ms")),
                tpot=_seconds(found.get("tpot_ms")),
                prompt_tokens=found.get("input_tokens"),
                completion_tokens=found.get("answer_tokens"),
                retrieval=_seconds(steps.get("retriever.retrieve_top_k")),
                rerank=_seconds(steps.get("retriever.rerank")),
            )
        )


def failed_sample(trace: Trace, error: Exception, anonymiser: Anonymiser) -> dict[str, Any] | None:
    """Build the sample of a request that failed; None for one that was refused before any work was done.

    It carries no context: there is no answer that could be judged by it.
    """
    query = trace.input.get("query")
    if isinstance(error, _REFUSED) or not query:
        return None
    kept = {name: trace.metadata[name] for name in SAMPLE_METADATA if trace.metadata.get(name) is not None}
    return {
        "id": trace.sample_id,
        "trace_id": trace.id,
        "query": anonymiser.text(query),
        "answer": "",
        "context": [],
        "metadata": {**kept, "error": type(error).__name__},
    }


def is_in_sample(trace_id: str, rate: float) -> bool:
    """Whether a trace belongs to the sample: the same answer for the same id in every process."""
    return int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8], "big") < rate * 2**64


def steps_ms(trace: Trace) -> dict[str, float]:
    """Milliseconds per finished step; steps of the same name (searches) ran at the same time: the longest counts."""
    steps: dict[str, float] = {}
    for span in trace.spans:
        if span.end_time is not None and span.name != TRACE_NAME:
            steps[span.name] = max(steps.get(span.name, 0.0), round(span.duration_ms, 2))
    return steps


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
