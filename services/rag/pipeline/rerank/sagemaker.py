"""A re-ranker behind a SageMaker real-time endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from services.common.sagemaker import InvocationError, SageMakerChat
from services.rag.pipeline.rerank.base import RerankFailed
from services.rag.pipeline.rerank.tei_protocol import MAX_TEXTS, request_body, scores_of

# When all are busy, the blend is a better answer than a queue.
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
        self._endpoint = SageMakerChat(
            endpoint_name, inference_component_name, timeout_seconds=timeout_seconds, concurrency=CONCURRENCY
        )

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text.

        Raises:
            RerankFailed: the endpoint cannot be reached, is busy or too slow, or answers with something else.
        """
        try:
            answer = await self._endpoint.invoke(orjson.dumps(request_body(query, texts)))
        except InvocationError as error:
            raise RerankFailed(str(error)) from None
        return scores_of(answer, len(texts))

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()
