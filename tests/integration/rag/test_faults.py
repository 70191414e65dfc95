"""What callers get when something is wrong: with the request, or with a dependency."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from services.rag.errors import StoreUnavailable
from services.rag.stores.qdrant import QdrantStore
from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another, eventually
from tests.integration.rag.fakes import STALL_SECONDS
from tests.integration.rag.test_answers import QUESTION, events

LIMIT_SECONDS = 2


@pytest.mark.parametrize(
    ("mode", "status", "code", "retry_after"),
    [
        ("model_error", 502, "llm_failed", False),
        ("break", 502, "llm_stream_broken", False),
        ("stream_error", 502, "llm_stream_broken", False),
        ("not_found", 503, "llm_endpoint_not_found", False),
        ("throttled", 503, "llm_throttled", True),
        ("unavailable", 503, "llm_unavailable", True),
    ],
)
def test_llm_faults(world: World, mode: str, status: int, code: str, retry_after: bool) -> None:
    world.cloud.mode = mode
    with world.client() as client:
        response = client.post("/rag", json={"query": QUESTION, "enable_rag": False})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error["request_id"] == response.headers["X-Request-Id"]
    assert error["message"].endswith(".") and "Traceback" not in error["message"]
    assert ("Retry-After" in response.headers) is retry_after


def test_a_model_that_stalls_ends_at_the_time_limit(world: World) -> None:
    with (
        serving(another(world, llm_timeout_seconds=LIMIT_SECONDS), world.environment) as url,
        world.at(url).client() as client,
    ):
        world.cloud.mode = "stall"
        started = time.monotonic()
        response = client.post("/rag", json={"query": QUESTION})
        took = time.monotonic() - started
    assert (response.status_code, response.json()["error"]["code"]) == (504, "llm_timeout")
    assert LIMIT_SECONDS <= took < STALL_SECONDS
    trace_id = response.headers["X-Trace-Id"]
    found = eventually(lambda: [each for each in world.cloud.samples if each["trace_id"] == trace_id])
    assert [(each["answer"], each["metadata"]["error"]) for each in found] == [("", "InvocationTimeout")]


def test_a_break_in_the_stream_becomes_an_error_event_and_a_failed_trace(world: World) -> None:
    world.cloud.mode = "break"
    with world.client() as client:
        response = client.post("/rag", json={"query": QUESTION, "stream": True})
    found = events(response)
    assert [name for name, _ in found][-1] == "error"
    assert "token" in [name for name, _ in found]
    assert found[-1][1]["error"]["code"] == "llm_stream_broken"
    trace, spans = world.opik.wait_for(response.headers["X-Trace-Id"])
    assert trace["error_info"]["exception_type"] == "StreamBroken"
    failed = {span["name"] for span in spans if span.get("error_info")}
    assert failed == {"call_llm_service"}


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_that_leaves_cancels_the_model(world: World, stream: bool) -> None:
    world.cloud.mode = "slow"
    before = _left(world)
    with world.client() as client:
        timeout = httpx.Timeout(5, read=0.4)
        with pytest.raises(httpx.ReadTimeout):
            if stream:
                with client.stream("POST", "/rag", json={"query": QUESTION, "stream": True}) as response:
                    for line in response.iter_lines():
                        if line == "event: token":
                            raise httpx.ReadTimeout("enough")
            else:
                client.post("/rag", json={"query": QUESTION}, timeout=timeout)
    assert world.cloud.aborted.wait(30), "the model was not told"
    deadline = time.monotonic() + 30
    while not _left(world) - before:
        assert time.monotonic() < deadline, "no trace tells that the caller left"
        time.sleep(0.05)


def _left(world: World) -> set[str]:
    """Traces of requests whose caller went away."""
    return {
        trace_id
        for trace_id, trace in list(world.opik.traces.items())
        if (trace.get("error_info") or {}).get("exception_type") == "ClientDisconnected"
    }


def test_store_down_is_503_and_questions_without_retrieval_go_on(world: World) -> None:
    world.qdrant.down = True
    with world.client() as client:
        response = client.post("/rag", json={"query": QUESTION})
        plain = client.post("/rag", json={"query": QUESTION, "enable_rag": False})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "retrieval_unavailable")
    assert plain.status_code == 200


class StoreIsElecting(StoreUnavailable):
    """A kind of outage that the table of errors does not list."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [("/rag", {"query": QUESTION}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}]})],
)
def test_a_kind_of_a_known_error_is_answered_as_that_error(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, object], stream: bool
) -> None:
    async def search(*_: object, **__: object) -> None:
        raise StoreIsElecting("The document store elects a leader.")

    with serving(another(world), world.environment) as url, world.at(url).client() as client:
        monkeypatch.setattr(QdrantStore, "search", search)
        response = client.post(path, json={**body, "stream": stream})
    assert response.status_code == 503
    error = response.json()["error"]
    assert (error["code"], error["message"]) == ("retrieval_unavailable", "The document store elects a leader.")


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize("path", ["/rag", "/readyz", "/docs", "/nowhere"])
def test_everything_but_healthz_wants_a_key(world: World, key: str | None, path: str) -> None:
    with world.client(key) as client:
        response = client.get(path)
        assert client.get("/healthz").status_code == 200
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "x" * 4001}, "query"),
        ({"query": "x", "top_k": 5}, "top_k"),
        ({"query": "x", "stream": "perhaps"}, "stream"),
    ],
)
def test_an_invalid_request_is_told_what_is_wrong(world: World, body: dict[str, object], names: str) -> None:
    with world.client() as client:
        response = client.post("/rag", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")
    assert names in response.json()["error"]["message"]


def test_broken_json_and_unknown_paths_have_the_one_shape(world: World) -> None:
    with world.client() as client:
        broken = client.post("/rag", content=b"{", headers={"Content-Type": "application/json"})
        missing = client.get("/nowhere")
        wrong = client.get("/rag")
    assert broken.status_code == 422 and broken.json()["error"]["code"] == "invalid_request"
    assert missing.status_code == 404 and missing.json()["error"]["code"] == "not_found"
    assert wrong.status_code == 405 and wrong.headers["Allow"] == "POST"


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_body_is_refused(world: World, chunked: bool) -> None:
    data = json.dumps({"query": "x", "pad": "y" * 10_000}).encode()
    content = (data[i : i + 1000] for i in range(0, len(data), 1000)) if chunked else data
    with world.client() as client:
        response = client.post("/rag", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


def test_readyz_names_each_dependency(world: World) -> None:
    with world.client() as client:
        deadline = time.monotonic() + 30
        while (ready := client.get("/readyz")).status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.2)
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert {name: state["state"] for name, state in ready.json()["dependencies"].items()} == dict.fromkeys(
        ("qdrant", "llm", "samples_queue", "opik"), "ok"
    )
