"""HTTP client of the model containers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import ClientResponse

from localcloud.sagemaker_runtime import errors, eventstream
from localcloud.sagemaker_runtime.limits import AccountIdentity, RuntimeLimits
from localcloud.sagemaker_runtime.selection import OutstandingRequests, Target

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)

IDLE_SECONDS = 2.0
"""Time after which an idle connection is closed."""
# With these errors no byte of the invocation has reached the container.
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class ContainerClient:
    """Sends invocations to containers. One per runtime, created on its event loop and closed when the runtime stops.

    Attributes:
        outstanding: counts of the invocations in progress.
    """

    def __init__(self, limits: RuntimeLimits, identity: AccountIdentity) -> None:
        self._limits = limits
        self._identity = identity
        self.outstanding = OutstandingRequests(limits.max_concurrent)
        # Deadlines are set per invocation with asyncio. Containers close idle connections after a few seconds; they are
        # closed earlier here, so that no invocation is sent on a connection that the container is closing.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.close()

    @asynccontextmanager
    async def invoke(self, target: Target, headers: Mapping[str, str], body: bytes) -> AsyncIterator[ClientResponse]:
        """Send the invocation to the least loaded container; yields its response, whose body is still unread.

        Leaving the context before the body was read closes the connection, which tells the container to stop. When a
        container refuses the connection, the next one is tried, since no byte of the invocation has reached it.

        Raises:
            RuntimeApiError: ServiceUnavailable when no container accepts the connection; ModelError when the container
                answers with another status than 2xx, closes the connection or exceeds the time limit.
        """
        for backend in self.outstanding.by_load(target.backends):
            with self.outstanding.sent_to(backend):
                try:
                    response = await self._send(backend, target, headers, body)
                except _NOT_CONNECTED:
                    continue
                try:
                    if not 200 <= response.status < 300:
                        raise await self._model_error(target, response)
                    yield response
                finally:
                    response.close()
                return
        raise errors.service_unavailable()

    async def _send(self, backend: str, target: Target, headers: Mapping[str, str], body: bytes) -> ClientResponse:
        try:
            async with asyncio.timeout(self._limits.response_seconds):
                url = f"{backend}/invocations"
                return await self._http.post(url, headers=headers, data=body, allow_redirects=False)
        except _NOT_CONNECTED:
            raise
        except TimeoutError:
            raise errors.model_error(target.log_group, 0, TIMED_OUT, self._identity) from None
        except aiohttp.ClientError as failure:
            raise self._connection_lost(target, failure) from None

    async def read(self, target: Target, response: ClientResponse) -> bytes:
        """The whole body of a response.

        Raises:
            RuntimeApiError: ModelError when the container closes the connection or exceeds the time limit.
        """
        try:
            async with asyncio.timeout(self._limits.response_seconds):
                return await response.read()
        except TimeoutError:
            raise errors.model_error(target.log_group, 0, TIMED_OUT, self._identity) from None
        except aiohttp.ClientError as failure:
            raise self._connection_lost(target, failure) from None

    async def frames(self, response: ClientResponse) -> AsyncGenerator[bytes, None]:
        """The body as event-stream messages: PayloadPart events as pieces arrive, then at most one exception message.

        The time limit is the caller's, with `stream_timed_out` as the last message.
        """
        try:
            async for piece in response.content.iter_any():
                for frame in eventstream.payload_parts(piece):
                    yield frame
        except aiohttp.ClientError as failure:
            # Bytes that arrived together with the end of the connection are buffered; the public methods raise instead.
            for frame in eventstream.payload_parts(response.content._read_nowait(-1)):
                yield frame
            yield stream_failure(failure)

    async def _model_error(self, target: Target, response: ClientResponse) -> errors.RuntimeApiError:
        original = (await self.read(target, response)).decode(errors="replace")
        return errors.model_error(target.log_group, response.status, original, self._identity)

    def _connection_lost(self, target: Target, failure: aiohttp.ClientError) -> errors.RuntimeApiError:
        text = f"The container closed the connection before it had answered ({type(failure).__name__})."
        return errors.model_error(target.log_group, 0, text, self._identity)


def stream_failure(failure: aiohttp.ClientError) -> bytes:
    """The exception message for a stream that broke off.

    `ModelStreamError` with the code `StreamBroken` when the container's connection was reset or closed, and
    `InternalStreamFailure` for every other error. Source of both:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html.
    """
    if isinstance(failure, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        message = "The connection between the client and the model was reset or closed."
        return eventstream.exception("ModelStreamError", {"Message": message, "ErrorCode": "StreamBroken"})
    return eventstream.exception(
        "InternalStreamFailure", {"Message": "The stream processing failed. Try your call again."}
    )


def stream_timed_out() -> bytes:
    """The exception message for a stream that exceeded the time limit."""
    message = "The model failed to finish sending the response within the timeout period allowed."
    return eventstream.exception("ModelStreamError", {"Message": message, "ErrorCode": "ModelInvocationTimeExceeded"})
