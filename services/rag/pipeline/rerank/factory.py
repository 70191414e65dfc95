"""Opens the re-ranker that the settings name."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from services.common.settings import ConfigurationError
from services.rag.embeddings.pool import CpuPool
from services.rag.pipeline.rerank.cross_encoder import CrossEncoder, CrossEncoderScorer, find_model
from services.rag.pipeline.rerank.llm import LlmScorer
from services.rag.pipeline.rerank.model_files import is_hub_id, model_directory
from services.rag.pipeline.rerank.remote import SageMakerScorer, TeiScorer
from services.rag.pipeline.rerank.scorer import Scorer
from services.rag.prompts.structured import ChatModel, StructuredChat
from services.rag.settings import RetrievalSettings


def check_scorer(settings: RetrievalSettings) -> None:
    """Check before the service starts that the files of a cross-encoder exist.

    Raises:
        ConfigurationError: one is missing.
    """
    if settings.reranker_model is not None and not is_hub_id(settings.reranker_model):
        find_model(Path(settings.reranker_model))


async def open_scorer(
    settings: RetrievalSettings, pool: CpuPool, chat: ChatModel | None, model: str, stack: AsyncExitStack
) -> Scorer | None:
    """The configured scorer, or None for the blend; loads a cross-encoder, which takes seconds, on a thread.

    Args:
        settings: validated, so that what a re-ranker needs is set.
        pool: runs a cross-encoder.
        chat: the model for RERANKER=llm.
        model: its name in traces.
        stack: closes what was opened.

    Raises:
        ConfigurationError: the cross-encoder cannot be used, or there is no model for RERANKER=llm.
    """
    timeout = settings.reranker_timeout_seconds
    match settings.reranker:
        case "cross-encoder":
            name = str(settings.reranker_model)
            loaded = await asyncio.to_thread(_load, name, settings.reranker_model_revision)
            return CrossEncoderScorer(loaded, name if is_hub_id(name) else Path(name).name, pool)
        case "tei":
            tei = TeiScorer(str(settings.reranker_url), timeout)
            stack.push_async_callback(tei.close)
            return tei
        case "sagemaker":
            endpoint = str(settings.reranker_endpoint_name)
            remote = SageMakerScorer(endpoint, settings.reranker_inference_component_name, timeout)
            stack.push_async_callback(remote.close)
            return remote
        case "llm":
            if chat is None:
                raise ConfigurationError(
                    "environment variable UNDERSTANDING_ENDPOINT_NAME is not set: RERANKER=llm needs a model to ask"
                )
            return LlmScorer(StructuredChat(chat, timeout), model)
        case "blend":
            return None


def _load(model: str, revision: str | None) -> CrossEncoder:
    return CrossEncoder(model_directory(model, revision))
