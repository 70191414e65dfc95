"""Requests made from the API's own OpenAPI document, valid and not, against the running service."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from tests.integration.rag.conftest import World
from tests.integration.rag.fakes import KEY

EXAMPLES = 20
# Bodies nobody documented: what matters is that the service answers them in its one shape and never with a 5xx.
BROKEN: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"query": "\\ud800"}',
    b'{"query": NaN}',
    b'{"messages": [{"role": "user", "content": 1e999}]}',
    b'{"messages": {"role": "user"}}',
    b'{"messages": [{"role": "user", "content": [{"type": "text"}]}]}',
    b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"trace_id": "x", "score": "1"}',
    b'{"trace_id": "01890000-0000-7000-8000-000000000000", "score": Infinity}',
    b"[" * 3000,
    b'{"a":' * 1000 + b"1" + b"}" * 1000,
]


@pytest.fixture
def document(world: World) -> Any:
    with world.client() as client:
        return client.get("/openapi.json").json()


def test_every_operation_keeps_its_word(world: World, document: Any) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=world.url)
    headers = {"Authorization": f"Bearer {KEY}"}
    tried = []
    for result in schema.get_all_operations():
        operation = result.ok()
        tried.append(operation.label)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def probe(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, timeout=20)

        schemathesis.pytest  # noqa: B018
        operation.as_strategy()
    assert len(tried) >= 8


@pytest.mark.parametrize("path", ["/rag", "/v1/chat/completions", "/feedback"])
def test_broken_bodies_are_refused_in_the_one_shape(world: World, path: str) -> None:
    dice = random.Random(3)
    noise = [dice.randbytes(dice.randrange(1, 2000)) for _ in range(20)]
    with world.client() as client:
        for body in [*BROKEN, *noise]:
            response = client.post(path, content=body, headers={"Content-Type": "application/json"})
            _one_shape(response, body)


def _one_shape(response: httpx.Response, body: bytes) -> None:
    assert 400 <= response.status_code < 500, (response.status_code, body[:80])
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}, error
    assert error["request_id"] == response.headers["X-Request-Id"]
    json.dumps(error)
