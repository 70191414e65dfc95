"""Answers that a load balancer makes itself, and the relay of a target's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.types import Receive, Send

Answer = tuple[int, dict[str, Any], Any]
Result = TypeVar("Result")
logger = logging.getLogger(__name__)

PAGES = {
    HTTPStatus.BAD_GATEWAY: "502 Bad Gateway",
    HTTPStatus.SERVICE_UNAVAILABLE: "503 Service Temporarily Unavailable",
    HTTPStatus.GATEWAY_TIMEOUT: "504 Gateway Time-out",
}
"""Titles of a load balancer's own pages. With the first the page has the 122 bytes that people quote:
https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2272."""
PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    "<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
)


def own_page(status: int) -> Answer:
    """A load balancer's own answer for one of `PAGES`: HTML, which no client of ours expects from the service."""
    body = PAGE.format(title=PAGES[HTTPStatus(status)]).encode()
    return status, {"Server": "awselb/2.0", "Content-Type": "text/html"}, body


class CallerGoneError(Exception):
    """The caller went away before there was an answer."""


async def unless_gone(call: Coroutine[Any, Any, Result], receive: Receive) -> Result:
    """The result of a call, which is cancelled when the caller goes away: a target must not go on working.

    Raises:
        CallerGoneError: they did.
    """
    calling, gone = asyncio.create_task(call), asyncio.create_task(until_gone(receive))
    try:
        await asyncio.wait({calling, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            raise CallerGoneError
        return calling.result()
    finally:
        for task in (calling, gone):
            task.cancel()
        await asyncio.gather(calling, gone, return_exceptions=True)


async def until_gone(receive: Receive) -> None:
    """Return when the caller has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def relay(body: AsyncIterable[bytes], send: Send, receive: Receive) -> None:
    """Hand a body on as it comes, until its end or until the caller goes away.

    The last frame of a body that breaks off is not sent, so that the caller sees it broken.
    """
    copy, gone = asyncio.create_task(_copy(body, send)), asyncio.create_task(until_gone(receive))
    try:
        await asyncio.wait({copy, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (copy, gone):
            task.cancel()
        await asyncio.gather(copy, gone, return_exceptions=True)


async def _copy(body: AsyncIterable[bytes], send: Send) -> None:
    try:
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except Exception as error:  # noqa: BLE001 - whatever breaks a target's body breaks the caller's
        logger.warning("A target's answer broke off: %s", error or type(error).__name__)
        return
    with suppress(Exception):
        await send({"type": "http.response.body", "body": b"", "more_body": False})
