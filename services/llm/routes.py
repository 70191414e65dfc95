"""Routes by the header of an invocation, as AWS's vLLM container has them since v1.4.

SageMaker sends every invocation to `/invocations`. `X-Amzn-SageMaker-Custom-Attributes: route=<path>` leads it to
another path of the server; one that the server does not have is its 404. Without the attribute, nothing changes.

Source: scripts/docker/vllm/sagemaker_serve.py of aws/deep-learning-containers @ e0ecede (2026-08-21), and docs/vllm/
changelog there (v1.4.0). LMI's container reads no such attribute.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = "x-amzn-sagemaker-custom-attributes"
# Attributes may stand beside it, apart by commas or space.
_ROUTE = re.compile(r"route=(/[^\s,]+)")


class RouteByAttribute:
    """ASGI application that hands an invocation to the path that its custom attributes name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == "/invocations":
            named = _ROUTE.search(Headers(scope=scope).get(HEADER, ""))
            if named is not None:
                scope = {**scope, "path": named[1], "raw_path": named[1].encode()}
        await self._app(scope, receive, send)
