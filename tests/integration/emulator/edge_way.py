"""A load balancer, a distribution before it and a target behind it, for tests of what stands between."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.integration.emulator.conftest import Emulator

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
KEY = {"Authorization": "Bearer key"}


@dataclass
class Target:
    """A server behind the load balancer, which does what a test tells it.

    Attributes:
        status: of its answers.
        headers: of its answers.
        seconds: before it answers.
        calls: requests that it got.
        peers: ports that their connections came from.
        left: set when a caller of `/wait` or `/stream` went away.
        go_on: set once `/stream` may send its second event.
        loop: the server's.
    """

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    calls: list[Mapping[str, str]] = field(default_factory=list)
    peers: list[int] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None
    left: threading.Event = field(default_factory=threading.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> Response:
        """What it was told, for a caller with a key; 401 for another."""
        self._note(request)
        body = await request.body()
        await asyncio.sleep(self.seconds)
        if "authorization" not in request.headers:
            return JSONResponse({"error": "no key"}, 401)
        return JSONResponse({"said": body.decode()}, self.status, self.headers)

    async def wait(self, request: Request) -> Response:
        """No answer as long as the caller is there."""
        self._note(request)
        await request.receive()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.left.set()
        return Response()

    async def stream(self, request: Request) -> Response:
        """Two events, the second when it may."""
        self._note(request)

        async def events() -> AsyncIterator[str]:
            """The events."""
            try:
                yield "data: first\n\n"
                await self.go_on.wait()
                yield "data: second\n\n"
            except asyncio.CancelledError:
                self.left.set()
                raise

        return StreamingResponse(events(), media_type="text/event-stream")

    async def broken(self, request: Request) -> Response:
        """An event, then no more."""
        self._note(request)

        async def events() -> AsyncIterator[str]:
            """The event."""
            yield "data: first\n\n"
            raise ConnectionError("the target broke off")

        return StreamingResponse(events(), media_type="text/event-stream")

    def proceed(self) -> None:
        """Let `/stream` go on, from the test's thread."""
        assert self.loop
        self.loop.call_soon_threadsafe(self.go_on.set)

    def _note(self, request: Request) -> None:
        assert request.client
        self.loop = asyncio.get_running_loop()
        self.calls.append(dict(request.headers))
        self.peers.append(request.client.port)


@contextmanager
def target(**options: Any) -> Iterator[Target]:
    """A target served by uvicorn with these options; its own defaults otherwise."""
    served = Target()
    routes = [Route("/wait", served.wait), Route("/stream", served.stream), Route("/broken", served.broken)]
    methods = ["GET", "HEAD", "POST"]
    routes.append(Route("/{path:path}", served.answer, methods=methods))
    # Without `proxy_headers`, which would hide the connection behind X-Forwarded-For.
    quiet = {"log_level": "critical", "lifespan": "off", "proxy_headers": False}
    config = uvicorn.Config(Starlette(routes=routes), port=0, **quiet, **options)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        served.port = server.servers[0].sockets[0].getsockname()[1]
        yield served
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


class Balancer:
    """A load balancer with one target group."""

    def __init__(self, emulator: Emulator, name: str, **attributes: str) -> None:
        self._elb, self._emulator, self.name = emulator.client("elbv2"), emulator, name
        made = self._elb.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        self.host, arn = made["DNSName"], made["LoadBalancerArn"]
        given = [{"Key": key.replace("__", "."), "Value": value} for key, value in attributes.items()]
        if given:
            self._elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=given)
        group = self._elb.create_target_group(Name=name, Protocol="HTTP", Port=8000, TargetType="ip", VpcId="vpc-1")
        self._group = group["TargetGroups"][0]["TargetGroupArn"]
        action = {"Type": "forward", "TargetGroupArn": self._group}
        self._elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[action])

    def send_to(self, port: int) -> None:
        """Make a port the only target."""
        described = self._elb.describe_target_health(TargetGroupArn=self._group)["TargetHealthDescriptions"]
        if described:
            old = [found["Target"] for found in described]
            self._elb.deregister_targets(TargetGroupArn=self._group, Targets=old)
        self._elb.register_targets(TargetGroupArn=self._group, Targets=[{"Id": "127.0.0.1", "Port": port}])

    def client(self, **headers: str) -> httpx.Client:
        """A caller of the load balancer."""
        return _client(self._emulator, {**KEY, "Host": f"{self.name}.alb.localhost", **headers})


def distribution(emulator: Emulator, balancer: Balancer, *, errors: Mapping[int, int], read_seconds: int = 30) -> str:
    """Domain of a distribution before a load balancer, as the business stack declares it.

    Args:
        emulator: where it is made.
        balancer: its origin.
        errors: ErrorCachingMinTTL in seconds by status.
        read_seconds: how long it waits for the origin.
    """
    origin = {
        "Id": "api",
        "DomainName": balancer.host,
        "CustomOriginConfig": {
            "HTTPPort": 80,
            "HTTPSPort": 443,
            "OriginProtocolPolicy": "http-only",
            "OriginReadTimeout": read_seconds,
        },
    }
    items = [{"ErrorCode": status, "ErrorCachingMinTTL": seconds} for status, seconds in errors.items()]
    every = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    behavior = {
        "TargetOriginId": "api",
        "ViewerProtocolPolicy": "https-only",
        "AllowedMethods": {"Quantity": len(every), "Items": every},
        "CachePolicyId": CACHING_DISABLED,
        "OriginRequestPolicyId": ALL_VIEWER_EXCEPT_HOST_HEADER,
    }
    config = {
        "CallerReference": f"{balancer.name}-{time.monotonic_ns()}",
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behavior,
        "CustomErrorResponses": {"Quantity": len(items), "Items": items} if items else {"Quantity": 0},
    }
    made = emulator.client("cloudfront").create_distribution(DistributionConfig=config)
    return str(made["Distribution"]["DomainName"])


def viewer(emulator: Emulator, domain: str, **headers: str) -> httpx.Client:
    """A caller of a distribution, who speaks TLS."""
    return _client(emulator, {"Host": domain, "X-Forwarded-Proto": "https", **headers})


def _client(emulator: Emulator, headers: Mapping[str, str]) -> httpx.Client:
    return httpx.Client(base_url=emulator.url, headers=dict(headers), timeout=30, trust_env=False)
