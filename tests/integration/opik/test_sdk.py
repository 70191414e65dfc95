"""What the services and tools do with Opik, through the unmodified SDK."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest


def eventually(read: Callable[[], Any], seconds: float = 30) -> Any:
    """A real server answers a search a moment after the write."""
    deadline = time.monotonic() + seconds
    while not (found := read()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.fixture
def dataset(client: Any) -> Any:
    return client.create_dataset(f"contract-{uuid.uuid4().hex[:8]}")


def test_a_trace_keeps_its_tree_metadata_usage_and_error(client: Any) -> None:
    trace = client.trace(name="generate", input={"query": "q"}, tags=["rag"], metadata={"stage": "test"})
    outer = trace.span(name="retriever", type="general", input={"q": 1})
    inner = outer.span(name="search", type="tool")
    inner.end(error_info={"exception_type": "Timeout", "message": "late", "traceback": "none"})
    outer.end(output={"found": 2})
    llm = trace.span(name="call_llm_service", type="llm")
    llm.end(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, model="m", provider="sagemaker")
    trace.end(output={"answer": "a"})
    client.flush(timeout=10)

    found = eventually(lambda: client.search_traces(filter_string='tags contains "rag"'))
    assert found[0].id == trace.id
    assert found[0].metadata["stage"] == "test"
    assert found[0].output == {"answer": "a"}
    spans = {span.name: span for span in eventually(lambda: client.search_spans(trace_id=trace.id))}
    assert set(spans) == {"retriever", "search", "call_llm_service"}
    assert spans["search"].parent_span_id == spans["retriever"].id
    assert spans["search"].error_info.exception_type == "Timeout"
    assert spans["retriever"].output == {"found": 2}
    assert spans["call_llm_service"].usage["total_tokens"] == 5


def test_feedback_scores_are_set_searched_and_replaced(client: Any) -> None:
    trace = client.trace(name="scored")
    trace.end()
    client.flush(timeout=10)
    for value in (0.0, 1.0):
        client.log_traces_feedback_scores([{"id": trace.id, "name": "user", "value": value, "reason": "thumb"}])
        client.flush(timeout=10)
    found = eventually(lambda: client.search_traces(filter_string="feedback_scores.user >= 1"))
    assert [(t.id, s.name, s.value, s.reason) for t in found for s in t.feedback_scores] == [
        (trace.id, "user", 1.0, "thumb")
    ]
    assert client.search_traces(filter_string="feedback_scores.user < 1") == []


def test_an_item_inserted_twice_by_id_is_there_once(client: Any, dataset: Any) -> None:
    item = {"id": str(uuid.uuid4()), "input": {"query": "q"}, "expected_output": {"answer": "a", "context": ["c"]}}
    for _ in range(2):
        dataset.insert([item], deduplication=False)
    found = eventually(lambda: client.get_dataset(dataset.name).get_items())
    assert [(i["id"], i["input"]) for i in found] == [(item["id"], {"query": "q"})]


def test_items_are_read_by_the_time_they_came(client: Any, dataset: Any) -> None:
    dataset.insert([{"input": "old"}])
    time.sleep(1.1)
    since = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    time.sleep(0.1)
    dataset.insert([{"input": "new"}])
    found = client.get_dataset(dataset.name).get_items(filter_string=f'created_at >= "{since}"')
    assert [item["input"] for item in found] == ["new"]


def test_an_evaluation_becomes_an_experiment_with_scores(client: Any, dataset: Any, opik_url: str) -> None:
    from opik.evaluation import evaluate
    from opik.evaluation.metrics import base_metric, score_result

    class Length(base_metric.BaseMetric):
        def __init__(self) -> None:
            super().__init__(name="length", track=False)

        def score(self, output: str, **_: Any) -> score_result.ScoreResult:
            return score_result.ScoreResult(name=self.name, value=len(output) / 10)

    dataset.insert([{"input": "a", "stored": "xx"}, {"input": "b", "stored": "xxxx"}])
    result = evaluate(
        dataset=client.get_dataset(dataset.name),
        task=lambda item: {"output": item["stored"]},
        scoring_metrics=[Length()],
        experiment_name_prefix="contract",
        experiment_config={"model_id": "m"},
        verbose=0,
    )
    assert result.aggregate_evaluation_scores().aggregated_scores["length"].mean == pytest.approx(0.3)
    experiment = client.get_experiment_by_id(result.experiment_id)
    items = eventually(lambda: [i for i in experiment.get_items() if i.feedback_scores])
    assert sorted(s["value"] for i in items for s in i.feedback_scores) == [0.2, 0.4]


def test_a_prompt_gets_a_version_only_when_it_changes(client: Any) -> None:
    name = f"contract-{uuid.uuid4().hex[:8]}"
    first = client.create_prompt(name=name, prompt="Answer {{query}}")
    same = client.create_prompt(name=name, prompt="Answer {{query}}")
    second = client.create_prompt(name=name, prompt="Please answer {{query}}")
    assert same.commit == first.commit != second.commit
    assert client.get_prompt(name=name).prompt == "Please answer {{query}}"
    assert client.get_prompt(name=name, commit=first.commit).prompt == "Answer {{query}}"
