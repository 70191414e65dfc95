"""What the service measures about itself: for Prometheus, and for CloudWatch on standard output."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.asgi_server import serving
from tests.integration.rag.conftest import World, another
from tests.integration.rag.test_answers import QUESTION

HISTOGRAMS = {
    "twin_request_seconds",
    "twin_ttft_seconds",
    "twin_tpot_seconds",
    "twin_prompt_tokens",
    "twin_answer_tokens",
    "twin_retrieval_seconds",
    "twin_rerank_seconds",
}


def exposition(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(families: dict[str, Any], name: str, **labels: str) -> float:
    """Sum of a metric's samples that have these labels."""
    return sum(
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_names_types_and_buckets(world: World) -> None:
    with world.client() as client:
        client.post("/rag", json={"query": QUESTION})
        families = exposition(client)
    kinds = {name: family.type for name, family in families.items() if name.startswith("twin_")}
    assert kinds == {
        **dict.fromkeys(HISTOGRAMS, "histogram"),
        "twin_requests": "counter",
        "twin_server_errors": "counter",
        "twin_shed_requests": "counter",
        "twin_held_requests": "gauge",
        "twin_breaker_state": "gauge",
    }
    assert "process_resident_memory_bytes" in families
    for name in HISTOGRAMS:
        bounds = {float(sample.labels["le"]) for sample in families[name].samples if sample.name == f"{name}_bucket"}
        # A model that wakes takes minutes, one that is fast some milliseconds: both have a bucket of their own.
        assert len(bounds) > 8 and max(bounds) == float("inf")
    ttft = {sample.labels.get("le") for sample in families["twin_ttft_seconds"].samples}
    assert {"0.05", "1.0", "300.0"} <= ttft
    reasons = {sample.labels["reason"] for sample in families["twin_shed_requests"].samples}
    assert {"rate_limit", "cpu", "llm"} <= reasons, "series exist before the first event"


def test_a_question_is_measured_once(world: World) -> None:
    with world.client() as client:
        before = exposition(client)
        client.post("/rag", json={"query": QUESTION})
        client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": QUESTION}], "stream": True})
        client.post("/rag", json={"query": QUESTION, "enable_rag": False})
        after = exposition(client)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("twin_ttft_seconds_count") == grown("twin_tpot_seconds_count") == 3
    assert grown("twin_prompt_tokens_sum") == 3 * 40 and grown("twin_answer_tokens_sum") == 3 * 6
    assert grown("twin_retrieval_seconds_count") == grown("twin_rerank_seconds_count") == 2
    assert grown("twin_requests_total", method="POST", route="/rag", status="200") == 2
    assert grown("twin_requests_total", route="/v1/chat/completions") == 1
    assert grown("twin_request_seconds_count", route="/rag") == 2


def test_series_have_a_bound_whatever_callers_send(world: World) -> None:
    with world.client() as client:
        before = exposition(client)
        for number in range(20):
            client.get(f"/nowhere/{number}")
            client.get(f"/v1/models/m{number}")
            client.request(f"METHOD{number}", "/rag")
            client.get("/healthz")
        after = exposition(client)
    routes = {sample.labels["route"] for sample in after["twin_requests"].samples}
    assert not any("nowhere" in route or "m1" in route for route in routes)
    assert "/healthz" not in routes, "load balancers ask too often to be counted"
    grown = value(after, "twin_requests_total", route="other") - value(before, "twin_requests_total", route="other")
    assert grown >= 20
    models = "/v1/models/{model_id:path}"
    assert value(after, "twin_requests_total", route=models, status="404") >= 20
    methods = {sample.labels["method"] for sample in after["twin_requests"].samples}
    assert not any(method.startswith("METHOD") for method in methods)


def test_lines_for_cloudwatch(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    app = another(world, metric_namespace="Twin/Test", opik_url_override=None, wake_hold_silent_seconds=0.1)
    with serving(app, world.environment) as url, world.at(url).client() as client:
        answer = client.post("/rag", json={"query": QUESTION}, headers={"X-Request-Id": "emf-1"})
        client.post("/rag", json={"query": ""})
        world.cloud.mode = "no_capacity"
        client.post("/rag", json={"query": QUESTION, "enable_rag": False})
        client.get("/healthz")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    answered, invalid, failed = lines
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"], line["Stage"]) == ("Twin/Test", [["Stage"]], "test")
        assert all(isinstance(line[metric["Name"]], int | float) for metric in directive["Metrics"])
        assert line["Requests"] == 1 and line["RequestTime"] > 0 and line["Route"] == "/rag"
    assert (answered["Status"], answered["request_id"]) == (200, "emf-1")
    assert answered["trace_id"] == answer.json()["trace_id"]
    assert (answered["InputTokens"], answered["OutputTokens"]) == (40, 6)
    assert 0 < answered["TimeToFirstToken"] <= answered["RequestTime"]
    assert answered["RetrievalTime"] > 0 and answered["RerankTime"] > 0
    assert (invalid["Status"], invalid["ServerErrors"]) == (422, 0) and "TimeToFirstToken" not in invalid
    assert (failed["Status"], failed["ServerErrors"]) == (503, 1)
    assert QUESTION not in json.dumps(lines)
