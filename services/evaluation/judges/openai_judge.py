"""A judge behind any OpenAI-compatible address: OpenAI, Azure, vLLM, Ollama, LiteLLM, our own RAG service."""

from __future__ import annotations

import random
import time

import httpx
from pydantic import BaseModel

from services.evaluation.judges.base import ATTEMPTS, TIMEOUT_SECONDS, Completion, Judge, Message
from services.evaluation.judges.chat_completions import read_completion, request_body
from services.evaluation.judges.errors import JudgeCallFailed
from services.evaluation.judges.meter import Meter
from services.evaluation.judges.structured import schema_instruction

CONNECT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 10.0
_TRANSIENT_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})


class OpenAIJudge(Judge):
    """POST `{url}/chat/completions`."""

    def __init__(self, url: str, model: str, api_key: str | None, meter: Meter, concurrency: int) -> None:
        """Open a pool of as many connections as calls at the same time.

        Args:
            url: base address, usually with `/v1`.
            model: `model` of the request.
            api_key: sent as a bearer token, None for servers without keys.
            meter: see `Judge`.
            concurrency: see `Judge`.
        """
        super().__init__(model, meter, concurrency)
        self._url = f"{url.rstrip('/')}/chat/completions"
        # Servers without guided decoding refuse `response_format`; they get the schema in the prompt instead.
        self._guided = True
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )

    def close(self) -> None:
        """Close the pool."""
        self._client.close()

    def complete(self, messages: list[Message], shape: type[BaseModel] | None) -> Completion:
        """Ask; see `Judge.complete`."""
        if shape is None or self._guided:
            response = self._post(messages, shape)
            if shape is None or response.status_code != 400 or "response_format" not in response.text:
                return _read(response)
            self._guided = False
        prompted: list[Message] = [{"role": "system", "content": schema_instruction(shape)}, *messages]
        return _read(self._post(prompted, None))

    def _post(self, messages: list[Message], shape: type[BaseModel] | None) -> httpx.Response:
        body = {"model": self.model_name, **request_body(messages, shape)}
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            wait: float | None = None
            try:
                response = self._client.post(self._url, json=body)
                if last or response.status_code not in _TRANSIENT_STATUS:
                    return response
                wait = _retry_after(response)
            except httpx.HTTPError as error:
                if last:
                    raise JudgeCallFailed(f"the judge was not reached: {type(error).__name__}") from None
            # With jitter: calls that were refused together must not come back together.
            time.sleep(min(wait or pause * random.uniform(0.5, 1.5), MAX_PAUSE_SECONDS))  # noqa: S311 - not a secret
            pause *= 2
        raise AssertionError("the last attempt returns or raises")


def _read(response: httpx.Response) -> Completion:
    if response.status_code != 200:
        raise JudgeCallFailed(f"the judge answered HTTP {response.status_code}")
    return read_completion(response.content)


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
