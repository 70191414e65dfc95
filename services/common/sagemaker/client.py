"""Streams chat completions from a SageMaker endpoint into asyncio, and invokes models of other kinds.

The transport is aiohttp with pooled keep-alive connections; botocore signs (`signing`). A thread per stream around the
blocking boto3 client was measured beside it (`benchmarks/llm_client.py`): it needs more than twice the processor time
per token and, at 64 streams, delays tokens by the interpreter's thread switches.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
import orjson
from aiohttp import ClientResponse
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError

from services.common.sagemaker.chat import ChatChunk, ChatStreamParser
from services.common.sagemaker.errors import SLEEPING, Throttled, translate
from services.common.sagemaker.eventstream import OPERATION, EventStreamDecoder
from services.common.sagemaker.signing import RuntimeApi

CONNECT_TIMEOUT_SECONDS = 3
ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
DEFAULT_CONCURRENCY = 128
IDLE_CONNECTION_SECONDS = 20
DNS_CACHE_SECONDS = 30
# One more attempt after a transient failure. It can never repeat a token: attempts end where the response begins.
MAX_ATTEMPTS = 2
MAX_RETRY_PAUSE_SECONDS = 0.5
# Failures of the container or the API after which the next attempt may succeed.
_TRANSIENT_STATUS = frozenset({500, 502, 503, 504})
MAX_ERROR_BYTES = 65_536


class SageMakerChat:
    """Client of one endpoint (and inference component); safe for concurrent use on one event loop."""

    def __init__(
        self,
        endpoint_name: str,
        inference_component_name: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        silence_seconds: float = 30.0,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        """Build the client from the process's AWS configuration; connects on first use.

        Args:
            endpoint_name: EndpointName.
            inference_component_name: InferenceComponentName, for endpoints that have them.
            timeout_seconds: upper bound of one invocation from start to end.
            silence_seconds: longest wait for the first or the next piece of an answer.
            concurrency: invocations (and connections) at the same time; more are refused as throttled.

        Raises:
            botocore.exceptions.NoRegionError: no region is configured.
        """
        self.endpoint_name = endpoint_name
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if inference_component_name:
            self._headers["X-Amzn-SageMaker-Inference-Component"] = inference_component_name
        self._timeout = timeout_seconds
        self._silence = silence_seconds
        self._concurrency = concurrency
        self._running = 0
        self._api = RuntimeApi()
        self._url = f"{self._api.url}/endpoints/{endpoint_name}"
        self._session: aiohttp.ClientSession | None = None
        self._answered: float | None = None

    def answered_within(self, seconds: float) -> bool:
        """Whether the model has answered this client in the last `seconds`, and not said since that it sleeps."""
        return self._answered is not None and time.monotonic() - self._answered <= seconds

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[ChatChunk, None]:
        """Invoke with `stream: true` and yield the answer as it comes.

        Closing the iterator closes the connection, which the engine sees as a disconnect.

        Args:
            body: chat completion request in OpenAI's shape; `stream` and `stream_options.include_usage` are set here.

        Raises:
            InvocationError: one of its subclasses. Before the first chunk: no token was produced for the caller.
        """
        request = {**body, "stream": True, "stream_options": {"include_usage": True}}
        async with self._invocation("invocations-response-stream", orjson.dumps(request), self._timeout) as response:
            frames, parser = EventStreamDecoder(), ChatStreamParser()
            async for data in response.content.iter_any():
                for payload in frames.feed(data):
                    for chunk in parser.feed(payload):
                        yield chunk
            frames.finish()
            for chunk in parser.finish():
                yield chunk

    async def invoke(self, body: bytes, timeout_seconds: float | None = None, route: str | None = None) -> bytes:
        """The container's whole answer to a JSON body in the protocol of its model.

        Args:
            body: as the container takes it.
            timeout_seconds: upper bound of this invocation; None takes the client's.
            route: path of another route of AWS's vLLM container (since v1.4); it is asked once. Other containers
                take the body as if no route was named.

        Raises:
            InvocationError: one of its subclasses.
        """
        async with self._invocation("invocations", body, timeout_seconds or self._timeout, route) as response:
            return await response.read()

    async def probe(self, timeout_seconds: float) -> None:
        """Ask for one token.

        Raises:
            InvocationError: the error that a request would get now.
        """
        await self.invoke(
            orjson.dumps({"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}), timeout_seconds
        )

    async def close(self) -> None:
        """Close every connection; running invocations end as broken."""
        self._api.close()
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def _invocation(
        self, operation: str, body: bytes, seconds: float, route: str | None = None
    ) -> AsyncIterator[ClientResponse]:
        """A successful response; every failure until its end becomes an InvocationError."""
        # Waiting here would be a queue without a bound; the caller can decide when to retry.
        if self._running >= self._concurrency:
            raise Throttled(f"This service already has as many requests at endpoint {self.endpoint_name} as it may.")
        self._running += 1
        response: ClientResponse | None = None
        try:
            response = await self._open(f"{self._url}/{operation}", body, seconds, route)
            self._answered = time.monotonic()
            yield response
        except (aiohttp.ClientError, BotoCoreError, ClientError, EventStreamError, OSError) as error:
            translated = translate(error, self.endpoint_name, streaming=response is not None)
            if isinstance(translated, SLEEPING):
                self._answered = None
            raise translated from None
        finally:
            self._running -= 1
            if response is not None:
                response.close()  # back to the pool by itself when it was read to its end

    async def _open(self, url: str, body: bytes, seconds: float, route: str | None) -> ClientResponse:
        """The response, before its body; a transient failure is retried once, but not for a route."""
        sent = self._headers if route is None else {**self._headers, ATTRIBUTES_HEADER: f"route={route}"}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        for attempt in range(1, MAX_ATTEMPTS + 1):
            timeout = aiohttp.ClientTimeout(
                total=deadline - loop.time(), sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=self._silence
            )
            # Signed anew: a signature is only good for its moment.
            headers = await self._api.signed(url, sent, body)
            try:
                response = await self._connected().post(
                    url, data=body, headers=headers, timeout=timeout, proxy=self._api.proxy, allow_redirects=False
                )
                if response.status == 200:
                    return response
                raise await _refusal(response)
            except (aiohttp.ClientConnectionError, ClientError) as error:
                # With jitter: callers that were refused together must not come back together.
                pause = random.uniform(0, MAX_RETRY_PAUSE_SECONDS)  # noqa: S311 - not a secret
                # For aiohttp, a time limit of 0 or less is none.
                last = attempt == MAX_ATTEMPTS or route is not None
                if last or not _is_transient(error) or loop.time() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # bounded by `concurrency`
                    keepalive_timeout=IDLE_CONNECTION_SECONDS,
                    ttl_dns_cache=DNS_CACHE_SECONDS,
                    ssl=ssl.create_default_context(cafile=self._api.ca_bundle),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


async def _refusal(response: ClientResponse) -> ClientError:
    """The error in an unsuccessful response, in botocore's shape (protocol rest-json)."""
    try:
        raw = await response.content.read(MAX_ERROR_BYTES)
    finally:
        response.close()
    try:
        body = orjson.loads(raw)
    except ValueError:
        body = {}
    fields: dict[str, Any] = body if isinstance(body, dict) else {}
    # "Code:http://..." and "namespace#Code" are both in use.
    kind = response.headers.get("x-amzn-errortype") or str(fields.get("__type") or fields.get("code") or "")
    code = kind.partition(":")[0].rpartition("#")[2] or str(response.status)
    message = str(fields.get("Message") or fields.get("message") or "")
    details = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": response.status}}
    return ClientError({**fields, **details}, OPERATION)


def _is_transient(error: aiohttp.ClientConnectionError | ClientError) -> bool:
    """Whether the next attempt may succeed: after a lost or refused connection, a fault of the API, throttling."""
    if isinstance(error, ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status in _TRANSIENT_STATUS or isinstance(translate(error, "", streaming=False), Throttled)
    return not isinstance(error, TimeoutError)
