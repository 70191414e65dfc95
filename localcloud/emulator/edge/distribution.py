"""A distribution's way to its load balancer: streams as they come, the origin's timeout, and kept errors.

MiniStack 1.5.33 routes, forwards headers by policy and words CloudFront's errors; it collects each answer before it
hands it out, and keeps none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.client import responses
from typing import Any
from urllib.parse import parse_qs

from ministack.core.responses import StreamingResponse
from ministack.services import alb, cloudfront
from starlette.types import Message, Receive, Send

from localcloud.emulator.edge.answers import Answer
from localcloud.emulator.edge.kept_errors import METHODS, KeptErrors, kept_seconds, key_of

ATTEMPTS = 3
"""Connection attempts, which count for a silent origin too where the request is a GET or HEAD:
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html."""
ERROR = "Error from cloudfront"


def install() -> None:
    """Wrap MiniStack's distribution, and replace its call of a load balancer. Call it once, before serving."""
    handle, errors = cloudfront.handle_viewer_request, KeptErrors()

    async def handle_viewer_request(
        dist: Any,
        method: str,
        path: str,
        raw_uri: str,
        raw_query_string: str,
        headers: Mapping[str, Any],
        *given: Any,
        **named: Any,
    ) -> Answer:
        """MiniStack's answer to a viewer, or the error that the distribution keeps for the same object."""
        if method not in METHODS:
            answer: Answer = await handle(dist, method, path, raw_uri, raw_query_string, headers, *given, **named)
            return answer
        key = key_of(dist, path, raw_uri, raw_query_string, headers)
        if found := errors.find(key):
            return found
        answer = await handle(dist, method, path, raw_uri, raw_query_string, headers, *given, **named)
        seconds = kept_seconds(dist, answer[0], answer[1])
        if seconds > 0:
            answer = await _whole(answer)
            errors.keep(key, answer, seconds)
        return answer

    cloudfront.handle_viewer_request = handle_viewer_request
    cloudfront._fetch_from_alb_origin = _call_origin


async def _whole(answer: Answer) -> Answer:
    status, headers, body = answer
    if isinstance(body, StreamingResponse):
        # The load balancer's own idle timeout ends it.
        body = await cloudfront._collect_streaming_body(body, None)
    return status, {**headers, "X-Cache": ERROR}, body


async def _call_origin(
    balancer: Any,
    origin: Mapping[str, Any],
    method: str,
    uri: str,
    query_string: str,
    headers: Mapping[str, Any],
    body: bytes,
    viewer_is_https: bool,
    client_ip: str,
    viewer_xff: str,
) -> tuple[int, str, list[tuple[str, Any]], Any]:
    """Status, reason, headers and body of a load balancer's answer; the body is relayed.

    Raises:
        OriginTimeout: the load balancer was silent for the origin's read timeout; a GET or HEAD was tried three times.
        OriginUnreachable: it has no listener for the origin's protocol and port.
    """
    _, port, use_https = cloudfront._origin_connect_target(origin, viewer_is_https)
    if use_https or not _listens(balancer, port):
        raise cloudfront.OriginUnreachable(f"no HTTP listener on port {port} of {balancer['DNSName']}")
    sent = cloudfront._origin_request_headers(origin, headers, client_ip, viewer_xff)
    seconds = float(origin.get("read_timeout", 30))
    for left in range(ATTEMPTS if method in METHODS else 1, 0, -1):
        try:
            async with asyncio.timeout(seconds):
                status, found, data = await alb.dispatch_request(
                    balancer,
                    method,
                    uri,
                    {name.lower(): value for name, value in sent.items()},
                    body or b"",
                    parse_qs(query_string, keep_blank_values=True),
                    port,
                    client_ip="127.0.0.1",
                    raw_query_string=query_string,
                )
            break
        except TimeoutError as error:
            if left == 1:
                raise cloudfront.OriginTimeout(f"{balancer['DNSName']} is silent for {seconds:.0f} s") from error
    if isinstance(data, StreamingResponse):
        data = StreamingResponse(_within(data, seconds))
    pairs = [(name, value) for name, values in found.items() for value in _list(values)]
    return status, responses.get(status, ""), pairs, data


def _listens(balancer: Any, port: int) -> bool:
    return any(
        listener["LoadBalancerArn"] == balancer["LoadBalancerArn"]
        and (listener.get("Port"), listener.get("Protocol")) == (port, "HTTP")
        for listener in alb._listeners.values()
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _within(stream: StreamingResponse, seconds: float) -> Any:
    """A relay of `stream` that breaks off when nothing comes for `seconds`."""

    async def run(send: Send, receive: Receive) -> None:
        """Relay each frame, and give the next one its time."""
        try:
            async with asyncio.timeout(seconds) as limit:

                async def heard(message: Message) -> None:
                    """Hand a frame on."""
                    limit.reschedule(asyncio.get_running_loop().time() + seconds)
                    await send(message)

                await stream.runner(heard, receive)
        except TimeoutError:
            # Without its last frame the viewer sees the answer broken.
            return

    return run
