"""Only the key that asked rates an answer and continues its trace: two keys, two processes, the real collector."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import opik
import pytest

from services.common.ids import uuid7
from services.common.opik_api import OpikApi
from services.common.tracing import Trace
from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another, eventually
from tests.integration.rag.test_answers import QUESTION

# Names that the anonymiser would make the same.
ADA, BEN = "ada@quill.example", "ben@marsh.example"
KEYS = {"key-of-ada": ADA, "new-key-of-ada": ADA, "key-of-ben": BEN}
SECRET = "arn:aws:secretsmanager:eu-west-1:1:secret:two-callers"
PROJECT = "owners"
ASKED = {"/rag": {"query": QUESTION}, "/v1/chat/completions": {"messages": [{"role": "user", "content": QUESTION}]}}


class Place:
    """Two processes of the service in front of one collector, with clients by process and key."""

    def __init__(self, urls: list[str], collector: str) -> None:
        self.collector = collector
        self._urls = urls
        self._http = httpx.Client(base_url=f"{collector}/v1/private", timeout=20, trust_env=False)

    def ask(self, key: str, process: int = 0, path: str = "/rag", **headers: str) -> str:
        """The id of the answer's trace."""
        answer = self._post(key, process, path, ASKED[path], headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["trace_id"])

    def rate(self, key: str, trace_id: str, process: int = 0) -> httpx.Response:
        return self._post(key, process, "/feedback", {"trace_id": trace_id, "score": 0.9}, {})

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        answer = self._http.get(f"/traces/{trace_id}")
        return dict(answer.json()) if answer.status_code == 200 else None

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        answer = self._http.post("/spans/search", json={"project_name": PROJECT, "trace_id": trace_id})
        return [json.loads(line) for line in answer.text.splitlines()]

    def refused(self, trace_id: str) -> list[dict[str, Any]]:
        """Traces of requests that named this one and had to have their own."""
        answer = self._http.post("/traces/search", json={"project_name": PROJECT})
        traces = [json.loads(line) for line in answer.text.splitlines()]
        return [trace for trace in traces if (trace.get("metadata") or {}).get("refused_trace_id") == trace_id]

    def scores(self, trace_id: str) -> list[Any]:
        return (self.trace(trace_id) or {}).get("feedback_scores") or []

    def _post(self, key: str, process: int, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(
            f"{self._urls[process]}{path}",
            json=body,
            headers={"Authorization": f"Bearer {key}", **given},
            trust_env=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def place(running: World, collector: str) -> Iterator[Place]:
    hashed = [{"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()} for key, name in KEYS.items()]
    running.cloud.secrets[SECRET] = json.dumps({"keys": hashed})
    changes = {"opik_url_override": collector, "opik_project_name": PROJECT, "api_keys_secret_arn": SECRET}
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(another(running, **changes), running.environment)) for _ in range(2)]
        yield Place(urls, collector)


def recorded(place: Place, trace_id: str) -> list[dict[str, Any]]:
    """The spans of an answer's trace once it has arrived."""
    return eventually(lambda: place.trace(trace_id) and place.spans(trace_id)) or []


def unknown(answer: httpx.Response, trace_id: str) -> bool:
    """Whether an answer to feedback is that for a trace that does not exist."""
    error = answer.json()["error"]
    message = f"There is no recorded answer with the trace id {trace_id}."
    return (answer.status_code, error["code"], error["message"]) == (404, "trace_not_found", message)


@pytest.mark.parametrize("path", ASKED)
def test_an_answer_is_rated_by_the_key_that_asked(world: World, place: Place, path: str) -> None:
    trace_id = place.ask("key-of-ada", path=path)
    assert unknown(place.rate("key-of-ben", trace_id), trace_id)
    assert place.rate("key-of-ada", trace_id).status_code == 204
    recorded(place, trace_id)
    assert unknown(place.rate("key-of-ben", trace_id, process=1), trace_id)
    assert place.rate("key-of-ada", trace_id, process=1).status_code == 204
    assert place.rate("new-key-of-ada", trace_id, process=1).status_code == 204
    assert len(place.scores(trace_id)) == 1
    assert unknown(place.rate("key-of-ada", missing := str(uuid.uuid4())), missing)


@pytest.mark.parametrize("path", ASKED)
def test_an_answers_trace_is_not_continued_by_another_key(
    world: World, place: Place, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    trace_id = place.ask("key-of-ada", path=path)
    fresh = place.ask("key-of-ben", path=path, opik_trace_id=trace_id)
    assert fresh != trace_id and "belongs to another key" in caplog.text
    (spans, theirs) = (recorded(place, trace_id), recorded(place, fresh))
    assert {span["name"] for span in theirs} >= {"call_llm_service"}
    # A process that has never heard of the trace finds out before it writes.
    place.ask("key-of-ben", process=1, path=path, opik_trace_id=trace_id, opik_parent_span_id=spans[0]["id"])
    (own,) = eventually(lambda: place.refused(trace_id))
    steps = eventually(lambda: place.spans(own["id"]))
    (whole,) = (step for step in steps if step["name"] == "generate")
    assert whole.get("parent_span_id") is None and own["metadata"]["key_name"] == BEN
    assert own["output"]["answer"] and {"call_llm_service", "format_prompt"} <= {step["name"] for step in steps}
    assert {span["id"] for span in place.spans(trace_id)} == {span["id"] for span in spans}
    assert place.trace(trace_id)["metadata"]["key_name"] == ADA  # type: ignore[index]


@pytest.fixture
def sdk(collector: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    monkeypatch.setenv("HOME", str(tmp_path))
    client = opik.Opik(host=collector, project_name="of-the-caller")
    yield client
    client.end()


def test_a_trace_of_the_callers_own_sdk_belongs_to_the_key_that_sent_it_first(
    world: World, place: Place, sdk: Any
) -> None:
    trace = sdk.trace(name="caller")
    span = trace.span(name="question")
    headers = {"opik_trace_id": trace.id, "opik_parent_span_id": span.id}
    assert place.ask("key-of-ada", **headers) == trace.id
    assert place.rate("key-of-ada", trace.id).status_code == 204, "at once, while its steps are on their way"
    assert unknown(place.rate("key-of-ben", trace.id), trace.id)
    first = eventually(lambda: _of_service(place, trace.id))
    assert {step["parent_span_id"] for step in first if step["name"] == "generate"} == {span.id}

    assert place.ask("key-of-ben", **headers) != trace.id
    place.ask("key-of-ben", process=1, **headers)
    eventually(partial(place.refused, trace.id))
    assert _of_service(place, trace.id) == first
    assert unknown(place.rate("key-of-ben", trace.id, process=1), trace.id)

    for process, key in ((0, "key-of-ada"), (1, "new-key-of-ada")):
        before = len(_of_service(place, trace.id))
        assert place.ask(key, process=process, **headers) == trace.id
        eventually(lambda before=before: len(_of_service(place, trace.id)) > before)
        assert place.rate(key, trace.id, process=process).status_code == 204


def _of_service(place: Place, trace_id: str) -> list[dict[str, Any]]:
    steps = [step for step in place.spans(trace_id) if step["name"] != "question"]
    return sorted(steps, key=lambda step: str(step["id"]))


def test_steps_wait_until_it_is_known_whose_the_trace_is(collector: str) -> None:
    trace = _continued(uuid7(), BEN)
    away, back = OpikApi("http://127.0.0.1:9/api", project_name=PROJECT), OpikApi(collector, project_name=PROJECT)
    encoded = away.encode(trace)
    with pytest.raises(httpx.TransportError):
        away.write([encoded])
    theirs = Trace("generate", id=trace.id, owner=ADA, metadata={"key_name": ADA})
    theirs.end()
    back.write([back.encode(theirs)])
    back.write([encoded])
    assert back.find_owner(trace.id) == ADA and back.owners.of(trace.id) == ADA


def test_an_answer_on_its_way_from_another_process_cannot_be_claimed(collector: str) -> None:
    late = Trace("generate", owner=ADA, metadata={"key_name": ADA})
    late.end()
    first, second = (OpikApi(collector, project_name=PROJECT) for _ in range(2))
    claim = _continued(late.id, BEN)
    second.owners.sent(claim)
    second.write([second.encode(claim)])
    assert second.owners.of(late.id) is None, "it could be rated"
    first.write([first.encode(late)])
    assert second.owners.of(late.id) == ADA
    spans = httpx.post(f"{collector}/v1/private/spans/search", json={"trace_id": late.id}, trust_env=False)
    assert spans.text == ""


def _continued(trace_id: str, owner: str) -> Trace:
    trace = Trace("generate", id=trace_id, owner=owner, continued=True)
    trace.span("generate").metadata = {"key_name": owner}
    trace.end()
    return trace
