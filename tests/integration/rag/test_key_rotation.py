"""Keys of Qdrant and Opik change while the service runs: the next call carries the new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.qdrant.app import create_app as create_qdrant
from localcloud.qdrant.engine import Engine
from services.common.renewable_key import MIN_AGE_SECONDS, RenewableKey
from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another, eventually
from tests.integration.rag.fakes import KEY, Opik

QUESTION = {"query": "Why is the health check timeout long?"}
TRACED = {"X-Debug-Trace": "1"}
QDRANT = "arn:aws:secretsmanager:eu-west-1:1:secret:qdrant"
OPIK = "arn:aws:secretsmanager:eu-west-1:1:secret:opik"


class Locked:
    """A store that asks for a key which changes, as its owner changes it."""

    def __init__(self, engine: Engine, key: str) -> None:
        self._engine = engine
        self.lock(key)

    def lock(self, key: str) -> None:
        self._app: ASGIApp = create_qdrant(self._engine, "never handed to the service", key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class LockedOpik(Opik):
    """Opik with a key."""

    key = "opik-1"

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if "/private/" in request.path and request.headers.get("Authorization") != self.key:
            return 401, {"message": "not authorised"}, {}
        return super().handle(request, body)


@dataclass
class Service:
    """The running service, and the owners of both keys."""

    world: World
    qdrant: Locked
    opik: LockedOpik
    client: httpx.Client

    def ask(self) -> httpx.Response:
        return self.client.post("/rag", json=QUESTION, headers=TRACED)


@pytest.fixture
def service(world: World, tmp_path: Path) -> Iterator[Service]:
    world.cloud.secrets = {QDRANT: "qdrant-1", OPIK: "opik-1"}
    world.cloud.secret_reads.clear()
    with ExitStack() as stack:
        engine = Engine(tmp_path / "qdrant")
        stack.callback(engine.close)
        opik = LockedOpik()
        stack.callback(opik.stop)
        qdrant = Locked(engine, "qdrant-1")
        app = another(
            world,
            qdrant_url=stack.enter_context(serving(qdrant)),
            qdrant_api_key=SecretStr("qdrant-1"),
            qdrant_api_key_secret_arn=QDRANT,
            opik_url_override=f"{opik.url}/api",
            opik_api_key=SecretStr("opik-1"),
            opik_api_key_secret_arn=OPIK,
        )
        url = stack.enter_context(serving(app, world.environment))
        headers = {"Authorization": f"Bearer {KEY}"}
        client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False))
        yield Service(world, qdrant, opik, client)
        world.cloud.secrets = {}


def test_changed_keys_reach_the_running_service(service: Service) -> None:
    first = service.ask()
    assert first.status_code == 200
    eventually(lambda: first.headers["X-Trace-Id"] in service.opik.traces)
    # Keys that are taken are not looked up.
    assert not {QDRANT, OPIK} & set(service.world.cloud.secret_reads)

    service.world.cloud.secrets = {QDRANT: "qdrant-2", OPIK: "opik-2"}
    service.qdrant.lock("qdrant-2")
    service.opik.key = "opik-2"
    second = service.ask()
    assert second.status_code == 200, second.text
    assert "retrieval" not in second.json()["degraded"]
    eventually(lambda: second.headers["X-Trace-Id"] in service.opik.traces)
    # All three collections were searched at the same time, and all three were refused.
    assert service.world.cloud.secret_reads.count(QDRANT) == 1


def test_a_key_that_is_not_in_the_secret_is_an_error_and_not_a_storm(service: Service) -> None:
    service.qdrant.lock("unknown")
    answers = [service.ask() for _ in range(3)]
    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].json()["error"]["code"] == "retrieval_unavailable"
    assert service.world.cloud.secret_reads.count(QDRANT) == 1


@pytest.fixture
def counted(world: World, tmp_path: Path) -> Iterator[tuple[str, Locked]]:
    engine = Engine(tmp_path / "qdrant")
    store = Locked(engine, "one")
    with serving(store) as url:
        yield url, store
    engine.close()


def test_a_refused_key_is_read_again_only_after_a_while(counted: tuple[str, Locked]) -> None:
    url, store = counted
    now, reads, secret = [0.0], [], ["zero"]

    def read() -> str:
        reads.append(now[0])
        return secret[0]

    auth = RenewableKey("api-key", "zero", read, clock=lambda: now[0])
    with httpx.Client(base_url=url, auth=auth, trust_env=False) as client:
        assert client.get("/collections").status_code == 401
        secret[0] = "one"
        assert client.get("/collections").status_code == 401
        now[0] = MIN_AGE_SECONDS
        assert client.get("/collections").status_code == 200
        store.lock("two")
        secret[0] = "two"
        now[0] *= 2
        assert client.get("/collections").status_code == 200
    assert reads == [0.0, MIN_AGE_SECONDS, 2 * MIN_AGE_SECONDS]
