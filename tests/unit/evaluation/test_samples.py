from __future__ import annotations

import json

import pytest

from services.evaluation.dataset.samples import MalformedSampleError, Sample
from services.evaluation.run.opik_metrics import stored_answer

TRACE_ID = "01936f3e-0000-7000-8000-000000000001"
OTHER_ID = "01936f3e-0000-7000-8000-000000000002"
SAMPLE = {
    "trace_id": TRACE_ID,
    "query": "What is RAG?",
    "answer": "Retrieval first.",
    "context": ["RAG retrieves first."],
    "metadata": {"model_id": "m", "prompt_version": "3", "stage": "dev", "release": "abc"},
}


def test_sample_becomes_the_dataset_item_of_the_contract() -> None:
    item = Sample.parse(json.dumps(SAMPLE)).dataset_item()
    assert item == {
        "id": TRACE_ID,
        "input": {"query": "What is RAG?"},
        "expected_output": {"answer": "Retrieval first.", "context": ["RAG retrieves first."]},
        "metadata": {"model_id": "m", "prompt_version": "3", "stage": "dev", "release": "abc", "trace_id": TRACE_ID},
    }
    assert stored_answer(item) == {
        "output": "Retrieval first.",
        "query": "What is RAG?",
        "context": ["RAG retrieves first."],
    }


def test_a_sample_of_a_callers_trace_has_an_item_of_its_own() -> None:
    item = Sample.parse(json.dumps({**SAMPLE, "id": OTHER_ID})).dataset_item()
    assert (item["id"], item["metadata"]["trace_id"]) == (OTHER_ID, TRACE_ID)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"trace_id": "not-a-uuid"}, "trace_id"),
        ({"id": "not-a-uuid"}, "id"),
        ({"query": ""}, "query"),
        ({"context": "one string"}, "context"),
        ({"metadata": None}, "metadata"),
    ],
)
def test_wrong_field_is_named_but_not_quoted(change: dict[str, object], field: str) -> None:
    with pytest.raises(MalformedSampleError) as caught:
        Sample.parse(json.dumps({**SAMPLE, **change}))
    assert field in str(caught.value)
    assert "one string" not in str(caught.value)
    assert "Retrieval" not in str(caught.value)


@pytest.mark.parametrize("body", ["", "not json", "[]", "{}"])
def test_what_is_no_sample_is_malformed(body: str) -> None:
    with pytest.raises(MalformedSampleError):
        Sample.parse(body)


@pytest.mark.parametrize("item", [{}, {"expected_output": "text", "input": 3}, {"expected_output": {"context": [1]}}])
def test_item_of_another_shape_gives_empty_texts(item: dict[str, object]) -> None:
    assert stored_answer(item) == {"output": "", "query": "", "context": []}
