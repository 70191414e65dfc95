"""Baseline: streaming client of a SageMaker endpoint over boto3 and a pool of threads.

boto3 blocks, so every invocation occupies a thread. The pool is explicit, since asyncio's default pool has few threads,
and the first token of one caller would wait for the last token of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

from services.common.sagemaker.chat import ChatChunk, ChatStreamParser
from services.common.sagemaker.errors import InvocationError, InvocationTimeout, Throttled, translate

CONNECT_TIMEOUT_SECONDS = 3
DEFAULT_CONCURRENCY = 128
MAX_ATTEMPTS = 2
"""One retry, for errors that boto3 treats as transient; none once the response has begun, so no token is repeated."""

_END = object()


class SageMakerChat:
    """Client of one endpoint (and inference component); safe for concurrent use on one event loop."""

    def __init__(
        self,
        endpoint_name: str,
        inference_component_name: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        """Build the client; connects on first use.

        Args:
            endpoint_name: EndpointName.
            inference_component_name: InferenceComponentName, for endpoints that have them.
            timeout_seconds: upper bound of one invocation from start to end.
            concurrency: invocations at the same time (threads and connections); more are refused as throttled.
        """
        self.endpoint_name = endpoint_name
        self._target = {"EndpointName": endpoint_name, "ContentType": "application/json"}
        if inference_component_name:
            self._target["InferenceComponentName"] = inference_component_name
        self._timeout = timeout_seconds
        self._client = boto3.client(
            "sagemaker-runtime",
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=timeout_seconds,
                max_pool_connections=concurrency,
                retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
                tcp_keepalive=True,
            ),
        )
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="sagemaker")
        self._slots = asyncio.Semaphore(concurrency)

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[ChatChunk, None]:
        """Invoke with `stream: true` and yield the answer as it comes; closing the iterator cancels the invocation.

        Args:
            body: chat completion request in OpenAI's shape; `stream` and `stream_options.include_usage` are set here.

        Raises:
            InvocationError: one of its subclasses. Before the first chunk: no token was produced for the caller.
        """
        request = {**body, "stream": True, "stream_options": {"include_usage": True}}
        async with self._slot():
            call = _StreamCall(self._client, self._target, json.dumps(request).encode(), self.endpoint_name)
            future = asyncio.get_running_loop().run_in_executor(self._pool, call.run)
            deadline = asyncio.get_running_loop().time() + self._timeout
            try:
                while True:
                    async with asyncio.timeout_at(deadline):
                        item = await call.queue.get()
                    if item is _END:
                        return
                    if isinstance(item, InvocationError):
                        raise item
                    yield item
            except TimeoutError:
                raise InvocationTimeout(
                    f"Endpoint {self.endpoint_name} did not finish its answer within {self._timeout:g} s."
                ) from None
            finally:
                call.cancel()
                future.cancel()

    def close(self) -> None:
        """Stop taking invocations; running ones end on their own time limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        # Refused instead of queued, since the queue would have no bound.
        if self._slots.locked():
            raise Throttled(f"This service already has as many requests at endpoint {self.endpoint_name} as it may.")
        async with self._slots:
            yield


class _StreamCall:
    """One streaming invocation: `run` works on a pool thread and hands chunks to `queue` on the event loop."""

    def __init__(self, client: Any, target: dict[str, str], body: bytes, endpoint_name: str) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self._client = client
        self._target = target
        self._body = body
        self._endpoint_name = endpoint_name
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop at the next payload part; the connection is closed there, which the engine sees as a disconnect."""
        self._cancelled.set()

    def run(self) -> None:
        """Invoke the endpoint and queue its chunks, then `_END` or the translated error. Blocks; for a pool thread."""
        started = False
        try:
            if self._cancelled.is_set():
                return
            response = self._client.invoke_endpoint_with_response_stream(Body=self._body, **self._target)
            started = True
            with contextlib.closing(response["Body"]) as events:
                self._read(events)
            self._put(_END)
        except Exception as error:  # noqa: BLE001 - boto3 raises a wide family; translate() names each
            self._put(translate(error, self._endpoint_name, streaming=started))

    def _read(self, events: Any) -> None:
        parser = ChatStreamParser()
        for event in events:
            if self._cancelled.is_set():
                return
            for chunk in parser.feed(event.get("PayloadPart", {}).get("Bytes", b"")):
                self._put(chunk)
        for chunk in parser.finish():
            self._put(chunk)

    def _put(self, item: object) -> None:
        # The loop may be closed at shutdown, when no caller waits for the answer.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.queue.put_nowait, item)
