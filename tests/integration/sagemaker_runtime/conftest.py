"""The runtime on a real socket, two model containers behind it, and boto3 in front of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config

from localcloud.sagemaker_runtime.app import create_app
from localcloud.sagemaker_runtime.guard import guarded
from localcloud.sagemaker_runtime.limits import RuntimeLimits
from localcloud.sagemaker_runtime.routing import ComponentRoute, EndpointRoute, RoutingTable
from tests.aws import CREDENTIALS, KEYS
from tests.integration.sagemaker_runtime.containers import ModelContainer


@contextmanager
def serve(table: RoutingTable, limits: RuntimeLimits) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = guarded(create_app(table, limits), CREDENTIALS)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the runtime did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def boto_client(url: str) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        **KEYS,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=15, max_pool_connections=20),
    )


@pytest.fixture
def first() -> Iterator[Any]:
    with ModelContainer("first") as container:
        yield container


@pytest.fixture
def second() -> Iterator[Any]:
    with ModelContainer("second") as container:
        yield container


@pytest.fixture(scope="session")
def table() -> RoutingTable:
    return RoutingTable()


@pytest.fixture(scope="session")
def runtime_url(table: RoutingTable) -> Iterator[str]:
    with serve(table, RuntimeLimits()) as url:
        yield url


@pytest.fixture(scope="session")
def client(runtime_url: str) -> Any:
    return boto_client(runtime_url)


@pytest.fixture(scope="session")
def strict_client(table: RoutingTable) -> Iterator[Any]:
    """A runtime with limits that a test can reach."""
    limits = RuntimeLimits(max_body_bytes=1000, response_seconds=0.5, stream_seconds=0.5, max_concurrent=2)
    with serve(table, limits) as url:
        yield boto_client(url)


@pytest.fixture
def endpoint(table: RoutingTable, first: Any) -> Iterator[str]:
    """An endpoint without inference components over one container."""
    table.set_endpoint(EndpointRoute("plain", "AllTraffic", (first.url,)))
    yield "plain"
    table.remove_endpoint("plain")


@pytest.fixture
def component_endpoint(table: RoutingTable) -> Iterator[Callable[[ComponentRoute], str]]:
    """Puts one inference component behind the endpoint `twin`."""

    def put(component: ComponentRoute) -> str:
        table.set_endpoint(EndpointRoute("twin", "main", (), {component.name: component}))
        return "twin"

    yield put
    table.remove_endpoint("twin")
