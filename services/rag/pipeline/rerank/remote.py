"""Re-rankers on other machines: Text Embeddings Inference over HTTP, and its containers behind a SageMaker endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from services.common.sagemaker import InvocationError, SageMakerChat
from services.rag.pipeline.rerank.scorer import RerankFailed

# The server's default for the texts of one request (--max-client-batch-size).
MAX_TEXTS = 32
# Calls of an endpoint at the same time. When all are busy, the blend is a better answer than a queue.
CONCURRENCY = 16


class TeiScorer:
    """Scores at a server; connects on first use. Belongs to one event loop."""

    max_candidates = MAX_TEXTS

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Build the client.

        Args:
            url: address of the server, without `/rerank`.
            timeout_seconds: upper bound of one call.
        """
        self.reranker_id = f"tei:{url}"
        self._url = f"{url.rstrip('/')}/rerank"
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score per text.

        Raises:
            RerankFailed: the server cannot be reached, is too slow, or answers with something else.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._session.post(self._url, json=request_body(query, texts)) as response:
                if response.status != 200:
                    raise RerankFailed(f"The re-ranker answered with status {response.status}.")
                body = await response.read()
        except TimeoutError:
            raise RerankFailed(f"The re-ranker did not answer within {self._timeout.total:g} s.") from None
        except aiohttp.ClientError as error:
            raise RerankFailed(f"The re-ranker cannot be reached ({type(error).__name__}).") from None
        return scores_of(body, len(texts))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


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


class _Rank(BaseModel):
    index: int
    score: float


_RANKS = TypeAdapter(list[_Rank])


def request_body(query: str, texts: Sequence[str]) -> dict[str, Any]:
    """The body of `POST /rerank`, which both take; a text that is too long for the model is cut instead of refused."""
    return {"query": query, "texts": list(texts), "truncate": True}


def scores_of(body: bytes, count: int) -> list[float]:
    """Scores in the order of the texts, out of `[{"index", "score"}]` in any order.

    Raises:
        RerankFailed: the answer is something else, or not one score per text.
    """
    try:
        ranks = _RANKS.validate_json(body)
    except ValidationError:
        raise RerankFailed("The re-ranker's answer is not a list of index and score.") from None
    scores = {rank.index: rank.score for rank in ranks}
    if scores.keys() != set(range(count)):
        raise RerankFailed("The re-ranker's answer does not hold one score per text.")
    return [scores[index] for index in range(count)]
