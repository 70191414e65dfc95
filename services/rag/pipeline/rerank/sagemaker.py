"""A re-ranker behind a SageMaker real-time endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

from services.common.sagemaker.errors import translate
from services.rag.pipeline.rerank.base import RerankFailed
from services.rag.pipeline.rerank.tei_protocol import MAX_TEXTS, request_body, scores_of

CONNECT_TIMEOUT_SECONDS = 1
# boto3 blocks, so a call occupies a thread; when all are busy the blend is the better answer than a queue.
CONCURRENCY = 16


class SageMakerScorer:
    """Scores at an endpoint; connects on first use. Belongs to one event loop."""

    max_candidates = MAX_TEXTS

    def __init__(self, endpoint_name: str, inference_component_name: str | None, timeout_seconds: float) -> None:
        """Build the client.

        Args:
            endpoint_name: EndpointName.
            inference_component_name: InferenceComponentName, for endpoints that have them.
            timeout_seconds: upper bound of one call.
        """
        self.reranker_id = f"sagemaker:{inference_component_name or endpoint_name}"
        self._endpoint_name = endpoint_name
        self._target = {"EndpointName": endpoint_name, "ContentType": "application/json"}
        if inference_component_name:
            self._target["InferenceComponentName"] = inference_component_name
        self._timeout = timeout_seconds
        self._client: Any = boto3.client(
            "sagemaker-runtime",
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=timeout_seconds,
                max_pool_connections=CONCURRENCY,
                retries={"mode": "standard", "total_max_attempts": 1},
                tcp_keepalive=True,
            ),
        )
        self._pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="rerank")
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text.

        Raises:
            RerankFailed: the endpoint cannot be reached, is busy or too slow, or answers with something else.
        """
        if self._slots.locked():
            raise RerankFailed(f"This service already has as many calls at endpoint {self._endpoint_name} as it may.")
        body = json.dumps(request_body(query, texts)).encode()
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._invoke, body)
            except TimeoutError:
                raise RerankFailed(
                    f"Endpoint {self._endpoint_name} did not answer within {self._timeout:g} s."
                ) from None
        return scores_of(answer, len(texts))

    async def close(self) -> None:
        """Stop taking calls; running ones end on their own time limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _invoke(self, body: bytes) -> bytes:
        try:
            answer: bytes = self._client.invoke_endpoint(Body=body, **self._target)["Body"].read()
        except Exception as error:  # noqa: BLE001 - boto3 raises a wide family; translate() names each
            raise RerankFailed(str(translate(error, self._endpoint_name, streaming=False))) from None
        return answer
