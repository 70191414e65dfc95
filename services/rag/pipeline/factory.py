"""Builds the retriever that the settings describe."""

from __future__ import annotations

from contextlib import AsyncExitStack

from services.common.breaker import CircuitBreaker, OnChange
from services.common.sagemaker import InvocationError, SageMakerChat
from services.common.settings import ConfigurationError
from services.rag.embeddings.pool import CpuPool
from services.rag.errors import StoreUnavailable
from services.rag.pipeline.rerank.factory import open_scorer
from services.rag.pipeline.rerank.ranking import Reranking
from services.rag.pipeline.rerank.scorer import GuardedScorer, RerankFailed
from services.rag.pipeline.retrieve import Retriever
from services.rag.pipeline.understand.base import QueryUnderstanding
from services.rag.pipeline.understand.keywords import DeterministicUnderstanding
from services.rag.pipeline.understand.llm import LlmUnderstanding
from services.rag.prompts.structured import ChatModel, StructuredChat
from services.rag.settings import RetrievalSettings
from services.rag.stores.qdrant import QdrantStore

GENERATING_MODEL = "generating model"
"""Name in traces of the model for query understanding when it is the one that answers."""


async def open_retriever(
    settings: RetrievalSettings,
    store: QdrantStore,
    pool: CpuPool,
    chat: SageMakerChat | None,
    on_change: OnChange,
    stack: AsyncExitStack,
) -> Retriever:
    """Build the retriever of the service; `stack` closes what is opened for it.

    Args:
        settings: how to retrieve.
        store: where documents are.
        pool: embeds and re-ranks.
        chat: the model that generates, for settings that name no other; None when there is none.
        on_change: called with the state of each circuit breaker.
        stack: closes clients.

    Raises:
        ConfigurationError: the settings ask for a model that cannot be used.
    """
    understanding, reranking = await open_parts(settings, pool, chat, on_change, stack)
    return Retriever(
        store,
        pool,
        understanding,
        reranking,
        breaker=CircuitBreaker("store", (StoreUnavailable,), on_change=on_change),
        top_k=settings.retrieval_top_k,
        candidates=settings.retrieval_candidates,
    )


async def open_parts(
    settings: RetrievalSettings,
    pool: CpuPool,
    chat: SageMakerChat | None,
    on_change: OnChange,
    stack: AsyncExitStack,
) -> tuple[QueryUnderstanding, Reranking]:
    """Build the parts of a retriever other than its store; arguments and errors as of `open_retriever`."""
    helper, name = _helper_model(settings, chat, stack)
    scorer = await open_scorer(settings, pool, helper, name, stack)
    guarded = scorer and GuardedScorer(scorer, CircuitBreaker("reranker", (RerankFailed,), on_change=on_change))
    return open_understanding(settings, helper, name, on_change), Reranking(pool, guarded)


def open_understanding(
    settings: RetrievalSettings, chat: ChatModel | None, model: str, on_change: OnChange
) -> QueryUnderstanding:
    """Build the configured query understanding.

    Args:
        settings: which one.
        chat: the model for QUERY_UNDERSTANDING=llm.
        model: its name in traces.
        on_change: called with the state of its circuit breaker.

    Raises:
        ConfigurationError: there is no model to ask.
    """
    if settings.query_understanding == "deterministic":
        return DeterministicUnderstanding(settings.query_variants)
    if chat is None:
        raise ConfigurationError(
            "environment variable UNDERSTANDING_ENDPOINT_NAME is not set: QUERY_UNDERSTANDING=llm needs a model to ask"
        )
    breaker = CircuitBreaker("understanding", (TimeoutError, InvocationError), on_change=on_change)
    structured = StructuredChat(chat, settings.understanding_timeout_seconds, breaker)
    return LlmUnderstanding(structured, model, settings.query_variants)


def _helper_model(
    settings: RetrievalSettings, chat: SageMakerChat | None, stack: AsyncExitStack
) -> tuple[SageMakerChat | None, str]:
    """The model for query understanding and re-ranking: a separate one, which may be cheaper, or the generating one."""
    if settings.understanding_endpoint_name is None:
        return chat, GENERATING_MODEL
    component = settings.understanding_inference_component_name
    own = SageMakerChat(
        settings.understanding_endpoint_name,
        component,
        timeout_seconds=max(settings.understanding_timeout_seconds, settings.reranker_timeout_seconds),
    )
    stack.push_async_callback(own.close)
    return own, component or settings.understanding_endpoint_name
