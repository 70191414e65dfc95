"""Samples of answers that were disliked, pointed at by hand, or never given."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.anonymise import Anonymiser
from services.common.breaker import CircuitOpen
from services.common.sagemaker import InvocationTimeout, NoCapacity, Throttled
from services.common.tracing import Trace
from services.evaluation.dataset.samples import Sample
from services.rag.errors import Overloaded
from services.rag.pipeline.prompt import PromptBuilder
from services.rag.pipeline.recorder import failed_sample
from services.rag.sampling.trace_sample import NotAnAnswer, is_sampled, sample_of
from tests.unit.rag.helpers import hit

TRACE_ID = "01936f3e-0000-7000-8000-000000000001"


def recorded(**changes: Any) -> dict[str, Any]:
    texts = ("Scale to zero\nremoves copies.", "A <b> tag & a second document.")
    prompt = PromptBuilder(1000).build("What is it?", [hit(text) for text in texts])
    metadata = {
        "model_id": "m",
        "prompt_version": "2",
        "stage": "t",
        "ttft_ms": 12.0,
        "prompt_template_variables": {"question": "What is it?", "context": prompt.context},
    }
    return {
        "id": TRACE_ID,
        "input": {"query": "What is it?", "enable_rag": True},
        "output": {"answer": "It removes copies."},
        "metadata": metadata,
        **changes,
    }


def test_the_sample_of_a_trace_is_the_one_that_the_service_would_have_sent() -> None:
    sample = sample_of(recorded(), "by hand")
    assert sample == {
        "trace_id": TRACE_ID,
        "query": "What is it?",
        "answer": "It removes copies.",
        "context": ["Scale to zero\nremoves copies.", "A <b> tag & a second document."],
        "metadata": {"model_id": "m", "prompt_version": "2", "stage": "t", "flagged": "by hand"},
    }
    assert Sample.model_validate(sample).dataset_item()["id"] == TRACE_ID


def test_a_failed_trace_keeps_its_error() -> None:
    sample = sample_of(recorded(output=None, error_info={"exception_type": "InvocationTimeout"}), "by hand")
    assert (sample["answer"], sample["metadata"]["error"]) == ("", "InvocationTimeout")


def test_a_trace_of_something_else_is_refused() -> None:
    with pytest.raises(NotAnAnswer, match=TRACE_ID):
        sample_of(recorded(input={"messages": []}), "by hand")


def test_what_was_sampled_is_known() -> None:
    assert is_sampled({"metadata": {"sampled": True}})
    assert not is_sampled({"metadata": {"sampled": False}})
    assert not is_sampled({})


def trace() -> Trace:
    return Trace(
        "generate",
        id=TRACE_ID,
        input={"query": "What is it, a@b.example?"},
        metadata={"model_id": "m", "ttft_ms": None},
    )


def test_a_request_that_was_worked_on_and_failed_is_a_sample() -> None:
    sample = failed_sample(trace(), InvocationTimeout("too late"), Anonymiser())
    assert sample == {
        "id": TRACE_ID,
        "trace_id": TRACE_ID,
        "query": "What is it, [email]?",
        "answer": "",
        "context": [],
        "metadata": {"model_id": "m", "error": "InvocationTimeout"},
    }
    assert Sample.model_validate(sample).metadata["error"] == "InvocationTimeout"


@pytest.mark.parametrize("error", [CircuitOpen("x"), NoCapacity("x"), Throttled("x"), Overloaded("x")])
def test_a_request_that_was_turned_away_is_none(error: Exception) -> None:
    assert failed_sample(trace(), error, Anonymiser()) is None
