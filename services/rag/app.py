"""Builds the application: shared clients in the lifespan, routes on top."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import boto3
import httpx
from botocore.config import Config
from fastapi import FastAPI

from services.common.sagemaker import SageMakerChat
from services.common.tracing import Tracer
from services.rag.api import errors, health, rag
from services.rag.api.auth import KeyStore
from services.rag.api.deps import Services
from services.rag.api.middleware import Gateway
from services.rag.embeddings.pool import CpuPool, EmbeddingModel
from services.rag.monitoring.samples import SampleQueue
from services.rag.pipeline.generate import Generator
from services.rag.pipeline.prompt import PromptBuilder
from services.rag.pipeline.rag import Facts, RagPipeline
from services.rag.pipeline.retrieve import Retriever
from services.rag.readiness import CHECK_TIMEOUT_SECONDS, Check, Readiness, opik_check, queue_check
from services.rag.settings import RagSettings
from services.rag.stores.opening import open_store
from services.rag.stores.qdrant import QdrantStore

logger = logging.getLogger(__name__)

# Short calls to control services: bounded so that neither a check nor a shutdown waits for a service that hangs.
AWS_CONFIG = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
SAMPLES_STOP_SECONDS = 5.0


def create_app(settings: RagSettings, embedder: EmbeddingModel) -> FastAPI:
    """The business service.

    Args:
        settings: read from the environment by the caller.
        embedder: the loaded embedding model.
    """
    app = FastAPI(title="LLM twin", version=settings.release, lifespan=partial(_lifespan, settings, embedder))
    app.add_middleware(Gateway, max_request_bytes=settings.max_request_bytes)
    errors.install(app)
    app.include_router(health.router)
    app.include_router(rag.router)
    return app


@asynccontextmanager
async def _lifespan(settings: RagSettings, embedder: EmbeddingModel, app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        app.state.services = await _build(settings, embedder, stack)
        logger.info("started", extra={"stage": settings.stage, "release": settings.release})
        yield
        logger.info("stopping")


async def _build(settings: RagSettings, embedder: EmbeddingModel, stack: AsyncExitStack) -> Services:
    """Build the shared objects; `stack` stops them in reverse order, so that traces and samples come last."""
    tracer = Tracer(_opik(settings), settings.traces_per_second)
    tracer.start()
    stack.push_async_callback(asyncio.to_thread, tracer.stop)

    sqs = boto3.client("sqs", config=AWS_CONFIG)
    samples = SampleQueue(sqs, settings.samples_queue_url)
    samples.start()
    stack.push_async_callback(asyncio.to_thread, samples.stop, SAMPLES_STOP_SECONDS)

    keys = KeyStore(boto3.client("secretsmanager", config=AWS_CONFIG), settings.api_keys_secret_arn)
    stack.callback(keys.close)

    pool = CpuPool(embedder, settings.embedding_threads)
    stack.callback(pool.close)
    store = open_store(settings, pool)
    stack.push_async_callback(store.close)
    chat = SageMakerChat(
        settings.llm_endpoint_name,
        settings.llm_inference_component_name,
        timeout_seconds=settings.llm_timeout_seconds,
    )
    stack.callback(chat.close)

    pipeline = RagPipeline(
        Retriever(store, pool, settings.retrieval_top_k),
        PromptBuilder(settings.context_max_tokens),
        Generator(chat, max_output_tokens=settings.llm_max_output_tokens, temperature=settings.llm_temperature),
        tracer,
        samples,
        Facts(
            stage=settings.stage,
            release=settings.release,
            model_id=settings.llm_model_id,
            embedding_model_id=pool.model_id,
            sample_rate=settings.sample_rate,
            price_per_hour_usd=settings.llm_price_per_hour_usd,
        ),
    )
    checks = await _checks(settings, store, chat, sqs, stack)
    return Services(keys, pipeline, Readiness(checks))


async def _checks(
    settings: RagSettings, store: QdrantStore, chat: SageMakerChat, sqs: Any, stack: AsyncExitStack
) -> dict[str, Check]:
    thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
    stack.callback(thread.shutdown, wait=False, cancel_futures=True)
    checks: dict[str, Check] = {
        "qdrant": store.ping,
        "llm": partial(chat.probe, CHECK_TIMEOUT_SECONDS),
        "samples_queue": queue_check(sqs, settings.samples_queue_url, thread),
    }
    if settings.opik_url_override:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=CHECK_TIMEOUT_SECONDS))
        checks["opik"] = opik_check(settings.opik_url_override, client)
    return checks


def _opik(settings: RagSettings) -> Callable[[], Any] | None:
    """Builds the Opik client, or None when no Opik is configured."""
    if not settings.opik_url_override:
        return None

    def build() -> Any:
        import opik  # seconds of import: on the sender's thread, not before the first request can be served

        key = settings.opik_api_key
        return opik.Opik(
            project_name=settings.opik_project_name,
            workspace=settings.opik_workspace,
            host=settings.opik_url_override,
            api_key=key.get_secret_value() if key else None,
            _show_misconfiguration_message=False,
        )

    return build
