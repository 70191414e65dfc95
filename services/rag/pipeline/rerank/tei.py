"""A re-ranker behind the HTTP API of Text Embeddings Inference."""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp

from services.rag.pipeline.rerank.base import RerankFailed
from services.rag.pipeline.rerank.tei_protocol import MAX_TEXTS, request_body, scores_of


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
