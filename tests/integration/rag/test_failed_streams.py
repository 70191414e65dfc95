"""Streamed answers that fail: what callers get before and after the first byte, and what counts as a server error."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.rag.api.protocol.responses import HOLD_SECONDS
from services.rag.errors import StoreUnavailable
from services.rag.stores.qdrant import QdrantStore
from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another, eventually
from tests.integration.rag.test_answers import QUESTION
from tests.integration.rag.test_metrics import exposition, value

ASK: dict[str, dict[str, Any]] = {
    "/rag": {"query": QUESTION, "stream": True},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": QUESTION}], "stream": True},
}


class Caller:
    """A caller of an application of its own, with the lines that it writes for CloudWatch."""

    def __init__(self, client: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
        self.client = client
        self._capsys = capsys

    def line(self) -> dict[str, Any]:
        found: list[str] = []

        def written() -> bool:
            found.extend(line for line in self._capsys.readouterr().out.splitlines() if line.startswith('{"_aws"'))
            return bool(found)

        eventually(written)
        (line,) = found
        return dict(json.loads(line))

    def server_errors(self, path: str) -> float:
        return value(exposition(self.client), "twin_server_errors_total", route=path)


@pytest.fixture
def caller(world: World, capsys: pytest.CaptureFixture[str]) -> Iterator[Caller]:
    app = another(world, metric_namespace="Twin/Test", opik_url_override=None)
    with serving(app, world.environment) as url, world.at(url).client() as client:
        client.get("/readyz")
        capsys.readouterr()
        yield Caller(client, capsys)


def error_of(stream: str) -> dict[str, Any]:
    """The error that ends a stream."""
    data = [line[6:] for line in stream.splitlines() if line.startswith("data: ")]
    return dict(json.loads(data[-1])["error"])


@pytest.mark.parametrize("path", ASK)
def test_a_store_that_is_down_is_503_before_the_stream_begins(world: World, caller: Caller, path: str) -> None:
    world.qdrant.down = True
    response = caller.client.post(path, json=ASK[path])
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (503, "retrieval_unavailable")
    assert response.headers["Retry-After"] == str(error["retry_after_seconds"]) == "2"
    assert response.headers["X-Trace-Id"] and response.headers["content-type"] == "application/json"
    line = caller.line()
    assert (line["Status"], line["ServerErrors"], "ErrorCode" in line) == (503, 1, False)
    assert caller.server_errors(path) == 1


@pytest.mark.parametrize("path", ASK)
@pytest.mark.parametrize(
    ("mode", "status", "code", "retry"),
    [("not_found", 503, "llm_endpoint_not_found", None), ("throttled", 503, "llm_throttled", 2)],
)
def test_a_model_that_refuses_at_once_has_its_status(
    world: World, caller: Caller, path: str, mode: str, status: int, code: str, retry: int | None
) -> None:
    world.cloud.mode = mode
    response = caller.client.post(path, json=ASK[path])
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["retry_after_seconds"]) == (status, code, retry)
    assert response.headers.get("Retry-After") == (retry and str(retry))


def test_a_store_that_fails_late_ends_a_stream_that_has_begun_and_counts(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def search(*_: object, **__: object) -> None:
        await asyncio.sleep(HOLD_SECONDS + 1)
        raise StoreUnavailable("The document store does not answer.")

    monkeypatch.setattr(QdrantStore, "search", search)
    asked = time.monotonic()
    with caller.client.stream("POST", "/rag", json=ASK["/rag"]) as response:
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == ["event: status", 'data: {"state":"retrieving"}']
        shown = time.monotonic() - asked
        rest = "\n".join(lines)
    assert HOLD_SECONDS <= shown < time.monotonic() - asked - 0.5, "a slow retrieval shows that it works"
    assert response.status_code == 200
    error = error_of(rest)
    assert (error["code"], error["retry_after_seconds"]) == ("retrieval_unavailable", 2)
    line = caller.line()
    assert (line["Status"], line["ErrorStatus"], line["ErrorCode"]) == (200, 503, "retrieval_unavailable")
    assert line["ServerErrors"] == caller.server_errors("/rag") == 1


@pytest.mark.parametrize("path", ASK)
@pytest.mark.parametrize("mode", ["break", "stream_error"])
def test_a_model_that_breaks_off_counts_as_a_server_error(world: World, caller: Caller, path: str, mode: str) -> None:
    world.cloud.mode = mode
    response = caller.client.post(path, json=ASK[path])
    error = error_of(response.text)
    assert (response.status_code, error["code"], error["retry_after_seconds"]) == (200, "llm_stream_broken", None)
    line = caller.line()
    assert (line["Status"], line["ErrorStatus"], line["ServerErrors"]) == (200, 502, 1)
    assert caller.server_errors(path) == 1


@pytest.mark.parametrize("path", ASK)
def test_a_caller_that_leaves_is_no_server_error(world: World, caller: Caller, path: str) -> None:
    world.cloud.mode = "slow"
    with caller.client.stream("POST", path, json=ASK[path]) as response:
        next(line for line in response.iter_lines() if "data" in line)
    line = caller.line()
    assert (line["Status"], line["ServerErrors"]) == (499, 0)
    assert caller.server_errors(path) == 0


def test_a_caller_that_leaves_before_the_stream_begins_cancels_the_work(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    async def search(*_: object, **__: object) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    monkeypatch.setattr(QdrantStore, "search", search)
    with pytest.raises(httpx.ReadTimeout):
        caller.client.post("/rag", json=ASK["/rag"], timeout=httpx.Timeout(5, read=HOLD_SECONDS / 2))
    line = caller.line()
    assert (line["Status"], line["ServerErrors"], set(ended)) == (499, 0, {"cancelled"})


def test_a_refused_request_is_no_server_error(caller: Caller) -> None:
    assert caller.client.post("/rag", json={"query": "", "stream": True}).status_code == 422
    assert caller.line()["ServerErrors"] == 0 and caller.server_errors("/rag") == 0
