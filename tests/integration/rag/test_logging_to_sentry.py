"""Unexpected errors at a server with Sentry's interface: that they arrive, and with how little."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from localcloud.sink.app import create_app as create_sink
from localcloud.sink.store import MessageStore
from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another, eventually
from tests.integration.rag.fakes import KEY
from tests.integration.rag.test_answers import QUESTION

MARKER = "zebra-crossing-18"


async def _broken(request: Request) -> Response:
    prompt = (await request.body()).decode()
    raise LookupError(f"nothing known about {prompt}")


@pytest.fixture
def arrived(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """The sink's address as a DSN, and the events that it has."""
    store = MessageStore(tmp_path)

    def events() -> list[dict[str, Any]]:
        return [
            json.loads(part)
            for message in store.after(0)
            for part in message.body.splitlines()
            if '"event_id"' in part and '"level"' in part
        ]

    with serving(create_sink(store)) as url:
        yield url.replace("http://", "http://public@") + "/1", (events, store)


def test_an_unexpected_error_arrives_scrubbed_and_a_known_one_does_not(world: World, arrived: tuple[str, Any]) -> None:
    dsn, (events, store) = arrived
    app = another(world, sentry_dsn=SecretStr(dsn), opik_url_override=None, wake_hold_silent_seconds=0.1)
    app.add_api_route("/broken", _broken, methods=["POST"], response_model=None)
    with serving(app, world.environment) as url, world.at(url).client() as client:
        world.cloud.mode = "no_capacity"
        assert client.post("/rag", json={"query": QUESTION, "enable_rag": False}).status_code == 503
        answer = client.post("/broken", json={"query": MARKER}, headers={"X-Request-Id": "sentry-1"})
        (event,) = eventually(events)
    assert answer.status_code == 500 and MARKER not in answer.text
    assert answer.json()["error"]["code"] == "internal_error"
    (error,) = event["exception"]["values"]
    assert error["type"] == "LookupError" and "value" not in error
    last = error["stacktrace"]["frames"][-1]
    assert last["function"] == "_broken" and last["lineno"] > 0 and "vars" not in last and "context_line" not in last
    assert event["tags"] == {"request_id": "sentry-1", "trace_id": ""}
    assert (event["environment"], event["release"], event["logger"]) == ("test", "r1", "api")
    assert event["logentry"] == {"message": "unexpected error"}
    everything = "".join(message.body for message in store.after(0))
    for secret in (MARKER, KEY, QUESTION, "Authorization", "server_name"):
        assert secret not in everything
    assert len(events()) == 1
