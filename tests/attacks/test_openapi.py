"""Requests made from the API's own OpenAPI document, valid and not, against the running service."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from services.rag.api.middleware import OWN_PARTS
from tests.attack_figures import Tally, size
from tests.attacks.service import JSON, Target
from tests.attacks.wire import PATIENCE_SECONDS, Request, ask

EXAMPLES = size(20, 400)
# Undocumented bodies: the service must answer them in the shape of every error and never with a 5xx.
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


OPERATIONS = {
    "GET /healthz",
    "GET /readyz",
    "POST /rag",
    "POST /v1/chat/completions",
    "GET /v1/models",
    "GET /v1/models/{model_id}",
    "POST /feedback",
    "GET /metrics",
}
TAKING_INPUT = sorted(name for name in OPERATIONS if name.startswith("POST") or "{" in name)


@pytest.fixture(scope="module")
def schema(running: Target) -> Any:
    document = ask(running.url, Request("GET", "/openapi.json", (running.authorization,))).body
    found = schemathesis.openapi.from_dict(json.loads(document))
    found.config.update(base_url=running.url)
    for check in (found.config.checks.positive_data_acceptance, found.config.checks.negative_data_rejection):
        check.expected_statuses = [*check.expected_statuses, "413"]  # no schema can tell the size of a body
    return found


def test_the_document_describes_every_operation(schema: Any) -> None:
    assert {result.ok().label for result in schema.get_all_operations()} == OPERATIONS


def test_logs_may_show_every_address(schema: Any) -> None:
    parts = {part for result in schema.get_all_operations() for part in result.ok().path.split("/")}
    assert {part for part in parts if "{" not in part} <= OWN_PARTS


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_valid_requests_are_accepted(target: Target, tally: Tally, schema: Any, name: str) -> None:
    statuses = _probe(target, tally, schema, name, GenerationMode.POSITIVE)
    assert statuses
    if "{" not in name and name != "POST /feedback":  # those name a thing, which random names do not hit
        assert 200 in statuses


@pytest.mark.parametrize("name", TAKING_INPUT)
def test_invalid_requests_are_refused(target: Target, tally: Tally, schema: Any, name: str) -> None:
    assert _probe(target, tally, schema, name, GenerationMode.NEGATIVE) & {404, 405, 422}


def _probe(target: Target, tally: Tally, schema: Any, name: str, mode: GenerationMode) -> set[int]:
    """Send generated requests; every answer is as documented. Returns the statuses seen."""
    (operation,) = [found for result in schema.get_all_operations() if (found := result.ok()).label == name]
    seen: set[int] = set()

    # The same requests in every run, and as many of them as one waits for.
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def probe(case: schemathesis.Case) -> None:
        response = case.call(headers=dict([target.authorization]), timeout=PATIENCE_SECONDS)
        # Counted before it is judged: hypothesis sends a failing request again, smaller.
        tally.count(
            case, response.elapsed, fault=f"status {response.status_code}" if response.status_code >= 500 else None
        )
        case.validate_response(response)
        seen.add(response.status_code)
        if response.status_code >= 400:
            _one_shape(response.status_code, response.json(), response.headers["x-request-id"][0], case.body)

    probe()
    return seen


@pytest.mark.parametrize("path", ["/rag", "/v1/chat/completions", "/feedback"])
def test_broken_bodies_are_refused_in_the_one_shape(target: Target, tally: Tally, path: str) -> None:
    dice = random.Random(3)
    noise = [dice.randbytes(dice.randrange(1, 2000)) for _ in range(size(20, 500))]
    for body in [*BROKEN, *noise]:
        seen = ask(target.url, Request("POST", path, (target.authorization, JSON), body))
        tally.count(body, seen.seconds, lost=seen.status == 0)
        _one_shape(seen.status, json.loads(seen.body), seen.header("x-request-id"), body)


@pytest.mark.parametrize("path", ["/rag", "/v1/chat/completions", "/feedback"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_page_may_send_to_another_site_without_asking_is_refused(
    target: Target, tally: Tally, path: str, kind: str
) -> None:
    body = b'{"query": "Why?", "messages": [{"role": "user", "content": "Why?"}], "trace_id": "t", "score": 1}'
    asked = len(target.cloud.invocations)
    seen = ask(target.url, target.post(path, body, ("Content-Type", kind)))
    tally.count((path, kind), seen.seconds, lost=seen.status == 0)
    _one_shape(seen.status, json.loads(seen.body), seen.header("x-request-id"), body)
    assert len(target.cloud.invocations) == asked
    tally.verify()


def _one_shape(status: int, answer: Any, request_id: str, body: Any) -> None:
    assert 400 <= status < 500, (status, answer, body)
    assert set(answer) == {"error"}
    error = answer["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id", "retry_after_seconds"}, error
    assert error["request_id"] == request_id
