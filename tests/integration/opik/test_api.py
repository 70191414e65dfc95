"""The calls that services make themselves, against the collector and as the unmodified SDK reads them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.common.ids import uuid7
from services.common.opik_api import OpikApi
from services.common.tracing import Trace
from tests.integration.opik.conftest import Collector


def answered() -> Trace:
    trace = Trace("generate", input={"query": "why?"}, output={"answer": "because"}, tags=["rag", "test"])
    trace.metadata = {"ttft_ms": 12.5, "nothing": None}
    with trace.span("generate") as root, root.child("call_llm_service", "llm", messages=[]) as step:
        step.model, step.provider = "stub/model", "sagemaker"
        step.usage = {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42}
    with pytest.raises(ValueError, match="bad"), root.child("embed"):
        raise ValueError("bad")
    trace.end()
    return trace


@pytest.fixture
def api(collector: Collector) -> OpikApi:
    return OpikApi(f"{collector.url}/api", project_name="api-test")


def test_traces_arrive_with_their_spans_once(collector: Collector, api: OpikApi, client: Any) -> None:
    first, second = answered(), answered()
    for _ in range(2):  # a batch whose answer was lost is written again
        api.write([api.encode(first), api.encode(second)])
    private = f"{collector.url}/api/v1/private"
    found = httpx.get(f"{private}/traces/{first.id}", trust_env=False).json()
    assert (found["name"], found["input"], found["output"]) == ("generate", first.input, first.output)
    assert found["metadata"]["ttft_ms"] == 12.5
    assert set(found["tags"]) == {"rag", "test"}
    assert found["start_time"] and found["duration"] is not None
    read = client.search_spans(project_name="api-test", trace_id=first.id, truncate=False)
    spans = {span.name: span for span in read}
    assert set(spans) == {"generate", "call_llm_service", "embed"} and len(read) == 3
    root = spans["generate"].id
    assert spans["call_llm_service"].parent_span_id == spans["embed"].parent_span_id == root
    assert spans["call_llm_service"].usage["completion_tokens"] == 2
    assert spans["call_llm_service"].type == "llm"
    assert spans["embed"].error_info.exception_type == "ValueError"


def test_a_score_replaces_the_one_before(collector: Collector, api: OpikApi) -> None:
    trace = answered()
    api.write([api.encode(trace)])
    assert api.read_trace(trace.id)
    api.score_trace(trace.id, "user_feedback", 0.0, "wrong year")
    api.score_trace(trace.id, "user_feedback", 1.0, None)
    found = httpx.get(f"{collector.url}/api/v1/private/traces/{trace.id}", trust_env=False).json()
    assert [(score["name"], score["value"]) for score in found["feedback_scores"]] == [("user_feedback", 1.0)]


def test_an_unknown_trace_is_no_error_but_no_opik_is(api: OpikApi) -> None:
    assert api.read_trace(uuid7()) is None and api.find_owner(uuid7()) is None
    with pytest.raises(httpx.HTTPError):
        OpikApi("http://127.0.0.1:9/api", project_name="p").write([api.encode(answered())])
