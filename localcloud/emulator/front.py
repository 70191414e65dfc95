"""What stands before MiniStack: traffic that AWS serves unsigned is handed to its target, all else must be signed.

MiniStack 1.5.33 does not check every caller's signature, and reads an AWS call into requests without one. So unsigned
requests never reach its router: they are handed to the one handler that they are for.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

from ministack import app as ministack
from ministack.core.iam_evaluator import CredentialResolutionError, is_root_access_key, resolve_credential
from ministack.core.responses import _account_from_sts_session
from ministack.services import sts
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.account import ACCOUNT_ID
from localcloud.aws_time import factor
from localcloud.emulator.edge.answers import CallerGoneError, unless_gone
from localcloud.emulator.rules.api import RuleCheck
from localcloud.emulator.rules.enforcement import Rules
from localcloud.emulator.settling import longest_seconds
from localcloud.signatures import Authentication, Refused, SignedRequest, read_body, replayed, unknown_key

HEALTH = "/_ministack/health"
CLOCK = "/_localcloud/clock"
"""Tells who waits for this AWS how much quicker its time is, unsigned like the health check."""
CALLBACKS = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
"""Presigned addresses on AWS, to which custom resources and wait conditions report; the random end is the secret."""
UNSIGNED_ACTIONS = (["AssumeRoleWithWebIdentity"], ["AssumeRoleWithSAML"])
"""Operations of STS whose callers have a token of another issuer instead of a key; as forms give them."""
LONGEST_FORM = 64 * 1024

Answer = tuple[int, dict[str, Any], Any]


class Front:
    """ASGI application over MiniStack's.

    Args:
        rules: what AWS refuses.
    """

    def __init__(self, rules: Rules) -> None:
        self._signed: ASGIApp = Authentication(RuleCheck(ministack.app, rules, service_of), secret_of, service_of)
        self._exchanged: ASGIApp = RuleCheck(_exchange, rules, service_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._signed(scope, receive, send)
            return
        request = SignedRequest.of(scope)
        if request.method == "GET" and request.path == CLOCK:
            await JSONResponse(clock())(scope, receive, send)
        elif _is_open(request):
            await ministack.app(scope, receive, send)
        elif handle := _traffic(request):
            await _hand_over(request, handle, receive, ministack._with_date_header(send))
        elif _may_be_token_exchange(request):
            await self._exchange(request, scope, receive, send)
        else:
            await self._signed(scope, receive, send)

    async def _exchange(self, request: SignedRequest, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, LONGEST_FORM)
        form = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        exchanged = form.get("Action") in UNSIGNED_ACTIONS
        await (self._exchanged if exchanged else self._signed)(scope, replayed(body, receive), send)


def clock() -> dict[str, float]:
    """How many seconds of AWS pass here in one, and how many more the local cloud may work on what AWS does in them."""
    return {"factor": factor(), "work_seconds": longest_seconds()}


async def secret_of(access_key_id: str, token: str) -> str:
    """The secret of the root key, a user's key or a role's session, as MiniStack keeps them.

    MiniStack gives Lambda functions the account id as access key, with the root key's secret.

    Raises:
        Refused: there is no such key, it is inactive or expired, or the session token is another one.
    """
    if is_root_access_key(access_key_id) and access_key_id not in (os.environ["AWS_ACCESS_KEY_ID"], ACCOUNT_ID):
        raise unknown_key()
    account = _account_from_sts_session(access_key_id) or ACCOUNT_ID
    found = resolve_credential(access_key_id, account, token)
    if isinstance(found, CredentialResolutionError):
        raise unknown_key() if found.code == "InvalidToken" and not token else Refused(found.code, found.message)
    return str(found.secret_access_key)


def service_of(request: SignedRequest, body: bytes) -> str:
    """The service that MiniStack would route a request to."""
    parameters = ministack._routing_params(request.method, request.path, request.headers, body, request.query)
    return str(ministack.detect_service(request.method, request.path, request.headers, parameters))


def _is_open(request: SignedRequest) -> bool:
    if request.method == "GET" and request.path == HEALTH:
        return True
    return request.method == "PUT" and request.path.startswith(CALLBACKS)


def _may_be_token_exchange(request: SignedRequest) -> bool:
    kind = request.headers.get("content-type", "")
    plain = not request.query and not {"authorization", "x-amz-target"} & request.headers.keys()
    return request.method == "POST" and plain and kind.startswith("application/x-www-form-urlencoded")


def _traffic(request: SignedRequest) -> Callable[[bytes], Coroutine[Any, Any, Answer | None]] | None:
    """The handler of a distribution's or a load balancer's traffic, or None when the host is neither's."""
    host = request.headers.get("host", "")
    label = ministack._parse_cloudfront_dataplane_host(host)
    if label is not None and ministack._get_module("cloudfront").find_distribution_for_label(label) is not None:
        return lambda body: ministack._handle_cloudfront_dataplane_request(
            host,
            request.path,
            request.raw_path,
            request.raw_query,
            request.method,
            request.headers,
            body,
            request.query,
            "127.0.0.1",
        )
    if ministack._is_potential_alb_request(host, "") and ministack._get_module("alb").find_lb_for_host(host):
        return lambda body: ministack._handle_alb_request(
            host,
            request.path,
            request.method,
            request.headers,
            body,
            request.query,
            request.raw_query,
            request.raw_path,
        )
    return None


async def _exchange(scope: Scope, receive: Receive, send: Send) -> None:
    """STS's answer to a token of another issuer."""
    request, body = SignedRequest.of(scope), await read_body(receive)
    ministack.set_request_region(ministack.extract_region(request.headers, {}))
    answer = await sts.handle_request(request.method, request.path, request.headers, body, {})
    await ministack._send_if_handled(ministack._with_date_header(send), answer)


async def _hand_over(
    request: SignedRequest, handle: Callable[[bytes], Coroutine[Any, Any, Answer | None]], receive: Receive, send: Send
) -> None:
    ministack.set_request_region(ministack.extract_region(request.headers, request.query))
    body = await read_body(receive)
    try:
        answer = await unless_gone(handle(body), receive)
    except CallerGoneError:
        return
    if not await ministack._send_if_handled(send, answer, receive):
        await ministack._send_response(send, 404, {"x-amzn-requestid": str(uuid.uuid4())}, b"")
