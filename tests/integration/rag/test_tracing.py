"""A caller's trace that goes on, the debug header, what is kept out of traces, and restarts."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import httpx

from services.common.ids import uuid7
from tests.integration.rag.conftest import World, another, eventually, serving
from tests.integration.rag.fakes import KEY, Opik

QUESTION = "Why is the health check timeout long?"


def test_a_callers_trace_goes_on_below_his_span(world: World) -> None:
    given = [(uuid7(), uuid7()), (uuid7(), uuid7())]
    with world.client() as client:
        for names, (trace_id, parent_id) in zip(
            (("opik_trace_id", "opik_parent_span_id"), ("Opik-Trace-Id", "Opik-Parent-Span-Id")), given, strict=True
        ):
            headers = {names[0]: trace_id, names[1]: parent_id}
            answer = client.post("/rag", json={"query": QUESTION}, headers=headers)
            assert answer.json()["trace_id"] == answer.headers["X-Trace-Id"] == trace_id, names
    for trace_id, parent_id in given:
        spans = eventually(partial(_spans, world, trace_id))
        (whole,) = (span for span in spans if span["name"] == "generate")
        assert whole["parent_span_id"] == parent_id and whole["metadata"]["prompt_name"] == "answer_with_context"
        assert {span["parent_span_id"] for span in spans if span["name"] == "call_llm_service"} == {whole["id"]}
        assert trace_id not in world.opik.traces, "the caller's own trace was overwritten"


def test_a_caller_who_names_the_trace_of_another_answer_leaves_its_sample(world: World) -> None:
    with (
        serving(another(world, sample_rate=1.0), world.environment) as url,
        world.at(url).client() as client,
    ):
        first = client.post("/rag", json={"query": QUESTION}).json()["trace_id"]
        for question in ("Is it long?", "Why is it long?"):
            client.post("/rag", json={"query": question}, headers={"opik_trace_id": first})
        samples = eventually(lambda: found if len(found := _samples(world, first)) == 3 else None) or []
    assert len({sample["id"] for sample in samples}) == 3
    assert [sample["query"] for sample in samples if sample["id"] == first] == [QUESTION]


def _samples(world: World, trace_id: str) -> list[dict[str, Any]]:
    return [sample for sample in world.cloud.samples if sample["trace_id"] == trace_id]


def _spans(world: World, trace_id: str) -> list[dict[str, Any]]:
    return [span for span in world.opik.spans if span["trace_id"] == trace_id]


def test_an_id_that_opik_would_refuse_starts_a_new_trace(world: World) -> None:
    refused = ("", "not-an-id", "3f0e4d6c-9d1b-4c55-8f57-1f3a0f6d2f11")
    with world.client() as client:
        answers = [
            client.post("/rag", json={"query": QUESTION}, headers={"opik_trace_id": given}).json() for given in refused
        ]
    started = [answer["trace_id"] for answer in answers]
    assert len({*started, *refused}) == 2 * len(refused)
    for trace_id in started:
        trace, _ = world.opik.wait_for(trace_id)
        assert trace["name"] == "generate" and len(trace["metadata"]["prompt_commit"]) == 8


def test_beyond_the_budget_only_what_must_be_is_traced(world: World) -> None:
    with (
        serving(another(world, traces_per_second=0.0, sample_rate=0.0), world.environment) as url,
        world.at(url).client() as client,
    ):
        debug = {"X-Debug-Trace": "1"}
        plain = client.post("/rag", json={"query": QUESTION}).json()["trace_id"]
        wanted = client.post("/rag", json={"query": QUESTION}, headers=debug).json()["trace_id"]
        world.cloud.mode = "model_error"
        failed = client.post("/rag", json={"query": QUESTION}).headers["X-Trace-Id"]
        refused = httpx.post(f"{url}/rag", json={"query": QUESTION}, headers=debug, trust_env=False)
    assert refused.status_code == 401 and "X-Trace-Id" not in refused.headers
    assert {wanted, failed} <= set(world.opik.traces) and plain not in world.opik.traces


def test_an_unsampled_question_is_traced_and_not_sampled_whatever_becomes_of_it(world: World) -> None:
    unsampled_headers = {"X-No-Sample": "1", "X-Debug-Trace": "1"}
    with (
        serving(another(world, sample_rate=1.0), world.environment) as url,
        world.at(url).client() as client,
    ):
        unsampled = [client.post("/rag", json={"query": QUESTION}, headers=unsampled_headers).headers["X-Trace-Id"]]
        asked = [client.post("/rag", json={"query": QUESTION}).headers["X-Trace-Id"]]
        world.cloud.mode = "model_error"
        unsampled.append(client.post("/rag", json={"query": QUESTION}, headers=unsampled_headers).headers["X-Trace-Id"])
        asked.append(client.post("/rag", json={"query": QUESTION}).headers["X-Trace-Id"])
    assert {*unsampled, *asked} <= set(world.opik.traces)
    sampled = {sample["trace_id"] for sample in world.cloud.samples}
    assert set(asked) <= sampled and not sampled & set(unsampled)


def test_traces_and_samples_leave_without_what_identifies(world: World) -> None:
    changes: dict[str, Any] = {"anonymise_patterns": {"customer": r"C-\d{6}"}, "sample_rate": 1.0}
    question = "May ada@quill.example (C-123456, +44 20 7946 0958) see the health check?"
    with serving(another(world, **changes), world.environment) as url, world.at(url).client() as client:
        trace_id = client.post("/rag", json={"query": question}).json()["trace_id"]
        told = {"trace_id": trace_id, "score": 1, "reason": "ada@quill.example said so"}
        assert client.post("/feedback", json=told).status_code == 204
    trace, spans = world.opik.wait_for(trace_id)
    (sample,) = (sample for sample in world.cloud.samples if sample["trace_id"] == trace_id)
    assert trace["input"]["query"] == sample["query"] == "May [email] ([customer], [phone]) see the health check?"
    everything = repr((trace, spans, sample, world.opik.scores))
    assert not any(secret in everything for secret in ("ada@quill", "C-123456", "7946 0958"))


def test_content_is_kept_out_of_traces_altogether(world: World) -> None:
    with serving(another(world, trace_content=False), world.environment) as url, world.at(url).client() as client:
        body = client.post("/rag", json={"query": QUESTION}).json()
    trace, spans = world.opik.wait_for(body["trace_id"])
    everything = repr((trace, spans))
    assert "health check" not in everything and body["answer"] not in everything
    assert trace["metadata"]["total_tokens"] == 46 and trace["metadata"]["prompt_version"] == "2"


def test_an_opik_that_fails_under_load_gets_everything_afterwards(world: World) -> None:
    opik = Opik()
    opik.down = True
    ids: list[str] = []

    def ask(url: str) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=20) as client:
            for _ in range(10):
                answer = client.post(f"{url}/rag", json={"query": QUESTION}, headers={"X-Debug-Trace": "1"})
                assert answer.status_code == 200
                ids.append(answer.json()["trace_id"])

    try:
        with serving(another(world, opik_url_override=f"{opik.url}/api", sample_rate=0.0), world.environment) as url:
            callers = [threading.Thread(target=ask, args=(url,)) for _ in range(3)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(60)
            assert len(ids) == 30 and not opik.traces
            opik.down = False
            eventually(lambda: set(ids) == set(opik.traces), 60)
    finally:
        opik.stop()
