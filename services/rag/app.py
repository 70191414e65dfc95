"""Builds the application: shared clients in the lifespan, routes on top."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import boto3
import httpx
from fastapi import FastAPI

from services.common.anonymise import Anonymiser
from services.common.aws_config import AWS_CONFIG
from services.common.breaker import CircuitBreaker
from services.common.logging import concern_logger
from services.common.opik_api import OpikApi
from services.common.renewable_key import key_from_settings
from services.common.sagemaker import EndpointUnavailable, InvocationTimeout, SageMakerChat
from services.common.tls import authorities
from services.common.trace_owners import TraceOwners
from services.common.tracer import Tracer
from services.rag.api import documentation
from services.rag.api.auth import KeyStore
from services.rag.api.deps import Services, WakeTimeout
from services.rag.api.limits import RateLimiter
from services.rag.api.middleware import Gateway
from services.rag.api.protocol import errors
from services.rag.api.routes import ROUTERS
from services.rag.embeddings.pool import CpuPool, EmbeddingModel
from services.rag.pipeline.counts import ModelCounts
from services.rag.pipeline.factory import open_retriever
from services.rag.pipeline.generate import Generator
from services.rag.pipeline.prompt import PromptBuilder
from services.rag.pipeline.rag import RagPipeline
from services.rag.pipeline.recorder import Facts, Recorder
from services.rag.pipeline.tokens import TokenCounter, token_counter
from services.rag.pipeline.waking import WakeGate
from services.rag.readiness import CHECK_TIMEOUT_SECONDS, LLM, Check, Readiness, opik_check, queue_check
from services.rag.sampling.feedback import Feedback
from services.rag.sampling.samples import SampleQueue
from services.rag.settings import RagSettings
from services.rag.stores.factory import open_store
from services.rag.stores.qdrant import QdrantStore
from services.rag.telemetry.emf import EmfWriter
from services.rag.telemetry.metrics import Metrics
from services.rag.telemetry.sentry import Sentry

logger = concern_logger("api")

SAMPLES_STOP_SECONDS = 5.0


def create_app(settings: RagSettings, embedder: EmbeddingModel) -> FastAPI:
    """The RAG service.

    Args:
        settings: read from the environment by the caller.
        embedder: the loaded embedding model.

    Raises:
        TokenizerError: the configured tokenizer cannot be read.
    """
    tokens = token_counter(settings.llm_tokenizer_path)
    app = FastAPI(
        title="LLM twin",
        version=settings.release,
        description=documentation.DESCRIPTION,
        lifespan=partial(_lifespan, settings, embedder, tokens),
    )
    app.add_middleware(
        Gateway, max_request_bytes=settings.max_request_bytes, max_concurrent=settings.max_concurrent_requests
    )
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    documentation.install(app, max_output_tokens=settings.llm_max_output_tokens)
    return app


@asynccontextmanager
async def _lifespan(
    settings: RagSettings, embedder: EmbeddingModel, tokens: TokenCounter, app: FastAPI
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        app.state.services = await _build(settings, embedder, tokens, stack)
        logger.info("started", extra={"stage": settings.stage, "release": settings.release})
        yield
        logger.info("stopping")


async def _build(
    settings: RagSettings, embedder: EmbeddingModel, tokens: TokenCounter, stack: AsyncExitStack
) -> Services:
    """Build the shared objects; `stack` stops them in reverse order, so that traces and samples come last."""
    if settings.sentry_dsn is not None:
        sentry = Sentry(settings.sentry_dsn.get_secret_value(), stage=settings.stage, release=settings.release)
        stack.push_async_callback(asyncio.to_thread, sentry.stop)

    anonymiser = Anonymiser(settings.anonymise, settings.anonymise_patterns)
    opik = _opik(settings, anonymiser)
    owners = opik.owners if opik else TraceOwners(lambda _: None)
    tracer = Tracer(opik, settings.traces_per_second)
    tracer.start()
    stack.push_async_callback(asyncio.to_thread, tracer.stop)

    sqs = boto3.client("sqs", config=AWS_CONFIG)
    samples = SampleQueue(sqs, settings.samples_queue_url)
    samples.start()
    stack.push_async_callback(asyncio.to_thread, samples.stop, SAMPLES_STOP_SECONDS)
    feedback = Feedback(opik, samples)
    stack.callback(feedback.close)

    keys = KeyStore(boto3.client("secretsmanager", config=AWS_CONFIG), settings.api_keys_secret_arn)
    stack.callback(keys.close)

    pool = CpuPool(embedder, settings.embedding_threads)
    stack.callback(pool.close)
    store = open_store(settings, pool.model_id, pool.dimension)
    stack.push_async_callback(store.close)
    chat = SageMakerChat(
        settings.llm_endpoint_name,
        settings.llm_inference_component_name,
        timeout_seconds=settings.llm_timeout_seconds,
        silence_seconds=settings.llm_silence_seconds,
    )
    stack.push_async_callback(chat.close)

    metrics = Metrics()
    gate = WakeGate(partial(chat.probe, CHECK_TIMEOUT_SECONDS), metrics, most=settings.wake_max_held)
    stack.callback(gate.close)
    facts = Facts(
        stage=settings.stage,
        release=settings.release,
        model_id=settings.llm_model_id,
        embedding_model_id=pool.model_id,
        sample_rate=settings.sample_rate,
        price_per_hour_usd=settings.llm_price_per_hour_usd,
    )
    pipeline = RagPipeline(
        await open_retriever(settings, store, pool, chat, metrics.set_breaker_state, stack),
        PromptBuilder(settings.context_max_tokens, tokens, model_len=settings.llm_max_model_len),
        Generator(
            chat,
            CircuitBreaker("llm", (EndpointUnavailable, InvocationTimeout), on_change=metrics.set_breaker_state),
            max_output_tokens=settings.llm_max_output_tokens,
            temperature=settings.llm_temperature,
        ),
        gate,
        Recorder(tracer, owners, samples, metrics, anonymiser, tokens, facts),
        pool,
        ModelCounts(chat if settings.llm_count_tokens else None),
        query_max_tokens=settings.query_max_tokens,
    )
    checks = await _checks(settings, store, chat, sqs, stack)
    return Services(
        keys=keys,
        limiter=RateLimiter(settings.requests_per_minute),
        gate=gate,
        wake_timeout=WakeTimeout(settings.wake_hold_seconds, settings.wake_hold_silent_seconds),
        pipeline=pipeline,
        readiness=Readiness(checks),
        feedback=feedback,
        owners=owners,
        metrics=metrics,
        emf=EmfWriter(settings.metric_namespace, settings.stage) if settings.metric_namespace else None,
        model_id=settings.llm_model_id,
        started=int(time.time()),
    )


async def _checks(
    settings: RagSettings, store: QdrantStore, chat: SageMakerChat, sqs: Any, stack: AsyncExitStack
) -> dict[str, Check]:
    thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
    stack.callback(thread.shutdown, wait=False, cancel_futures=True)
    checks: dict[str, Check] = {
        "qdrant": store.ping,
        LLM: partial(chat.probe, CHECK_TIMEOUT_SECONDS),
        "samples_queue": queue_check(sqs, settings.samples_queue_url, thread),
    }
    if settings.opik_url_override:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=CHECK_TIMEOUT_SECONDS, verify=authorities()))
        checks["opik"] = opik_check(settings.opik_url_override, client)
    return checks


def _opik(settings: RagSettings, anonymiser: Anonymiser) -> OpikApi | None:
    """Client of Opik's API; None when no Opik is configured."""
    if not settings.opik_url_override:
        return None
    return OpikApi(
        settings.opik_url_override,
        project_name=settings.opik_project_name,
        workspace=settings.opik_workspace,
        auth=key_from_settings("Authorization", settings.opik_api_key, settings.opik_api_key_secret_arn),
        anonymiser=anonymiser,
        content=settings.trace_content,
    )
