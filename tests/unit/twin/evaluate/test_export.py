"""Data sets for fine-tuning, from traces at the collector."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.common.opik_api import OpikApi
from services.common.tracing import Trace
from tests.integration.rag.local_servers import serving
from twin.evaluate.export import datasets as export

PROJECT = "exported"


@pytest.fixture(scope="module")
def opik(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving("localcloud.opik", "/api/is-alive/ping", tmp_path_factory.mktemp("opik")) as url:
        api = OpikApi(f"{url}/api", project_name=PROJECT)
        for query, answer, scores in (
            ("q1", "right", {"user_feedback": 1.0, "hallucination": 1.0}),
            ("q1", "wrong", {"user_feedback": 0.0}),
            ("q1", "wrong", {"user_feedback": 0.1}),
            ("q1", "nearly", {"user_feedback": 0.9}),
            ("q2", "judged", {"hallucination": 0.2, "answer_relevance": 1.0, "prompt_injection": 1.0}),
            ("q3", "useless", {"user_feedback": 0.0}),
            ("q4", "nobody scored it", {}),
        ):
            _answered(api, query, answer, scores)
        api.close()
        with httpx.Client(base_url=f"{url}/api", trust_env=False, timeout=20) as client:
            yield client


def _answered(api: OpikApi, query: str, answer: str, scores: dict[str, float]) -> None:
    trace = Trace("generate", input={"query": query}, metadata={"prompt_version": "2", "other": 1})
    messages = [{"role": "system", "content": "rules"}, {"role": "user", "content": f"documents, {query}"}]
    with trace.span("call_llm_service", "llm", messages=messages):
        pass
    trace.output = {"answer": answer}
    trace.end()
    api.write([api.encode(trace)])
    for name, value in scores.items():
        api.score_trace(trace.id, name, value, None)


def _lines(lines: Any) -> list[dict[str, Any]]:
    file = io.StringIO()
    assert export.write(lines, file) == len(file.getvalue().splitlines())
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_a_pair_is_the_best_answer_against_a_clearly_worse_one_once(opik: httpx.Client) -> None:
    (pair,) = _lines(export.preferences(export.read(opik, PROJECT)))
    assert [message["content"] for message in pair["prompt"]] == ["rules", "documents, q1"]
    assert pair["chosen"] == [{"role": "assistant", "content": "right"}]
    assert pair["rejected"] == [{"role": "assistant", "content": "wrong"}]
    assert pair["metadata"]["chosen"]["scores"] == {"user_feedback": 1.0, "hallucination": 1.0}
    assert pair["metadata"]["rejected"]["prompt_version"] == "2" and "other" not in pair["metadata"]["rejected"]


def test_an_instruction_is_the_best_answer_that_is_good_enough(opik: httpx.Client) -> None:
    found = _lines(export.instructions(export.read(opik, PROJECT, with_context=False)))
    told = {
        line["prompt"][0]["content"]: (line["completion"][0]["content"], line["metadata"]["score"]) for line in found
    }
    assert told == {"q1": ("right", 1.0), "q2": ("judged", pytest.approx(0.9))}
