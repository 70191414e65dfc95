"""A load balancer's way to its targets: idle connections, their faults, and its own answers.

Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html for the
answers 502, 503 and 504; edit-load-balancer-attributes.html beside it for the idle timeout.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import httpcore
from ministack.core.responses import StreamingResponse
from ministack.services import alb

from localcloud.emulator.edge.answers import PAGES, Answer, own_page, relay
from localcloud.emulator.edge.connections import TargetNetwork

IDLE = "idle_timeout.timeout_seconds"
DEFAULT_IDLE_SECONDS = 60.0
DROP_INVALID = "routing.http.drop_invalid_header_fields.enabled"
VALID_NAME = re.compile(r"[-A-Za-z0-9]+")
CONNECT_SECONDS = 10.0
"""After which a load balancer gives up connecting to a target, with 504."""
CONNECTION_FIELDS = frozenset({"connection", "keep-alive", "te", "transfer-encoding", "upgrade"})
"""Header fields of one connection, which is not the next one's."""
_OWN = "application/json"
_balancer: ContextVar[str] = ContextVar("balancer", default="")
"""ARN of the load balancer that handles the request; MiniStack does not tell the function that calls the target."""
_pools: dict[tuple[str, float], httpcore.AsyncConnectionPool] = {}


def install() -> None:
    """Replace MiniStack's call of a target, and its own error answers. Call it once, before the emulator serves."""
    dispatch = alb.dispatch_request

    async def dispatch_request(lb: Any, method: str, path: str, headers: Any, *given: Any, **named: Any) -> Answer:
        """MiniStack's routing of a request, with the words of AWS where no target has answered."""
        token = _balancer.set(lb["LoadBalancerArn"])
        try:
            answer: Answer = await dispatch(lb, method, path, _valid(headers), *given, **named)
        finally:
            _balancer.reset(token)
        return own_page(answer[0]) if _is_own(answer) else answer

    alb.dispatch_request = dispatch_request
    alb._proxy_http_target = _call_target


def _is_own(answer: Answer) -> bool:
    """Whether MiniStack answered for the load balancer, in words of its own, and not a target or a listener's rule."""
    status, headers, body = answer
    return status in PAGES and not isinstance(body, StreamingResponse) and headers.get("Content-Type") == _OWN


def idle_seconds(balancer: str) -> float:
    """Idle timeout of a load balancer, in real seconds.

    It is compared with timers of the service, which runs in real time: divided by the time factor, it would be shorter
    than any of them, and hide the fault that it is for.
    """
    return float(alb._lb_attr(balancer, IDLE, DEFAULT_IDLE_SECONDS))


def _valid(headers: Any) -> Any:
    """The headers that a load balancer passes on where it drops invalid names."""
    if alb._lb_attr(_balancer.get(), DROP_INVALID, "false") != "true":
        return headers
    return {name: value for name, value in headers.items() if VALID_NAME.fullmatch(name)}


def _pool(balancer: str) -> httpcore.AsyncConnectionPool:
    idle = idle_seconds(balancer)
    if (balancer, idle) not in _pools:
        _pools[balancer, idle] = httpcore.AsyncConnectionPool(
            max_connections=None,
            max_keepalive_connections=None,
            keepalive_expiry=idle,
            http2=False,
            network_backend=TargetNetwork(),
        )
    return _pools[balancer, idle]


async def _call_target(
    target: Any,
    group: Any,
    method: str,
    path: str,
    headers: Any,
    body: bytes,
    query_params: Any,
    raw_query_string: str | None = None,
) -> Answer:
    """The answer of a target, its body as it comes; or the status of the page with which the load balancer answers.

    502: the target refuses or resets the connection, closes it with a request outstanding, or answers no HTTP.
    504: it is not connected within ten seconds, or silent for the idle timeout.
    """
    balancer = _balancer.get()
    idle = idle_seconds(balancer)
    resource = path + (f"?{raw_query_string}" if raw_query_string else "")
    request = httpcore.Request(
        method.upper(),
        httpcore.URL(
            scheme="http",
            host=str(target["Id"]),
            port=int(target.get("Port") or group.get("Port") or 80),
            target=resource.encode("latin-1"),
        ),
        headers=_fields(headers, method, body),
        content=body or None,
        extensions={"timeout": {"connect": CONNECT_SECONDS, "read": idle, "write": idle, "pool": None}},
    )
    try:
        response = await _pool(balancer).handle_async_request(request)
    except httpcore.TimeoutException:
        return _failed(HTTPStatus.GATEWAY_TIMEOUT)
    except (httpcore.NetworkError, httpcore.ProtocolError):
        return _failed(HTTPStatus.BAD_GATEWAY)

    async def run(send: Any, receive: Any) -> None:
        """Relay the body; the connection is kept if all of it was read, else closed."""
        try:
            await relay(response.aiter_stream(), send, receive)
        finally:
            await response.aclose()

    return response.status, _answer_headers(response.headers), StreamingResponse(run)


def _failed(status: HTTPStatus) -> Answer:
    return int(status), {"Content-Type": _OWN}, b""


def _fields(headers: Any, method: str, body: bytes) -> list[tuple[bytes, bytes]]:
    fields = [
        (name.encode("latin-1"), str(value).encode("utf-8", "surrogateescape"))
        for name, value in headers.items()
        if name.lower() not in CONNECTION_FIELDS | {"content-length"}
    ]
    if body or method.upper() in ("POST", "PUT", "PATCH"):
        fields.append((b"content-length", str(len(body)).encode()))
    return fields


def _answer_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """In MiniStack's form: a name that comes several times has a list."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    found = {name: values for name, values in found.items() if name not in CONNECTION_FIELDS}
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
