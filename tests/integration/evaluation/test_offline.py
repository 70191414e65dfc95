"""`twin evaluate --dataset` against a service with scripted answers, with the SDK and the collector."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from services.common.ids import uuid7
from services.common.opik_api import OpikApi
from services.common.tracing import Trace
from tests.integration.evaluation.judge_server import JudgeServer, Reply
from tests.integration.rag.fakes import Server
from twin.evaluate import asking, offline, offline_report
from twin.evaluate import cli as evaluation
from twin.target import api_client, waking
from twin.target.errors import TwinError
from twin.target.opik_client import OpikReader
from twin.target.stage import Stage

pytestmark = pytest.mark.usefixtures("base_environment", "embedding_model")

SOURCE = "The health check timeout is 900 seconds, because the weights of the model load slowly."
GROUNDED = "The health check timeout is 900 seconds, because the weights of the model load slowly."
INVENTED = "Penguins were elected to the parliament of Norway. Their first law concerned herring."
QUESTIONS = [f"Why is the health check timeout {n} seconds?" for n in range(900, 908)]


class Service(Server):
    """`/readyz` and `/rag` of a RAG service whose traces arrive in Opik at once."""

    def __init__(self, opik: str, project: str) -> None:
        self.answer: Callable[[str], str] = lambda _: GROUNDED
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.ready: tuple[int, Any] = (200, {"status": "ready", "dependencies": {}})
        self.asked = 0
        self._opik = OpikApi(opik, project_name=project)
        super().__init__()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]] | None:
        if request.path == "/readyz":
            return (*self.ready, {})
        assert request.headers["X-Debug-Trace"] == request.headers["X-No-Sample"] == "1"
        assert request.headers["Authorization"] == "Bearer key"
        self.asked += 1
        if self.refusals:
            status, headers = self.refusals.pop()
            return status, {"error": {"message": "Not now."}}, headers
        trace = Trace("generate", input={"query": body["query"]}, output={"answer": self.answer(body["query"])})
        context = f'<document id="1" title="T">\n{SOURCE}\n</document>'
        trace.metadata = {"model_id": "m1", "release": "r1", "prompt_template_variables": {"context": context}}
        trace.end()
        self._opik.write([self._opik.encode(trace)])
        text = f"event: done\ndata: {json.dumps({'trace_id': trace.id})}\n\n".encode()
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)
        return None


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for the service has no Application Auto Scaling beside it."""
    monkeypatch.setattr(waking, "is_parked", lambda _: False)


@pytest.fixture(scope="module")
def project() -> str:
    return f"offline-{uuid7()}"


@pytest.fixture
def service(collector: str, project: str) -> Iterator[Service]:
    made = Service(collector, project)
    yield made
    made.stop()


@pytest.fixture
def stage(service: Service, collector: str, project: str, monkeypatch: pytest.MonkeyPatch) -> Stage:
    ports = {"opik": httpx.URL(collector).port, "aws": httpx.URL(service.url).port}
    local: Any = SimpleNamespace(ports=ports)
    found = Stage("local", "us-east-1", {}, local)
    deployed = {"ApiUrl": "https://twin.cloudfront.net", "LoadBalancerName": "twin"}
    monkeypatch.setattr(api_client, "outputs", lambda _: deployed)
    monkeypatch.setattr(api_client, "api_key", lambda _: "key")
    monkeypatch.setattr(offline, "opik_reader", lambda each: OpikReader(each, project))
    monkeypatch.setattr("twin.target.stage.connect", lambda _: found)
    return found


@pytest.fixture
def dataset(collector: str, project: str) -> str:
    """A dataset of the questions and of an item without any."""
    name = f"questions-{uuid7()}"
    items = [{"id": uuid7(), "source": "sdk", "data": {"input": {"query": query}}} for query in QUESTIONS]
    odd = {"id": uuid7(), "source": "sdk", "data": {"note": "no question"}}
    with httpx.Client(base_url=f"{collector}/v1/private", trust_env=False) as opik:
        opik.post("/datasets", json={"name": name, "project_name": project}).raise_for_status()
        named = {"dataset_name": name, "project_name": project}
        opik.put("/datasets/items", json={**named, "items": [*items, odd]}).raise_for_status()
    return name


def run(stage: Stage, dataset: str, baseline: str = "", **more: Any) -> dict[str, Any]:
    return offline.evaluate_offline(stage, offline.OfflineEvaluation(dataset, baseline, **more), lambda _: None)


def test_worse_answers_are_found_with_their_traces_and_equal_ones_pass(
    stage: Stage, service: Service, dataset: str, project: str, collector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(stage, dataset, name=f"first-{dataset}")
    assert (first["questions"], first["skipped"], first["scored"], first["baseline"]) == (8, 1, 8, None)
    assert first["config"] | {"metric_version": ""} == {
        "stage": "local", "mode": "offline", "model_id": ["m1"], "prompt_name": [], "prompt_version": [],
        "release": ["r1"], "judge": "none", "metric_version": "",
    }  # fmt: skip
    assert first["means"]["groundedness"] > 0.8
    assert offline_report.gate_failure(first) == ""

    good = offline_report.goodness(first)
    assert good["groundedness"] == first["scores"]["groundedness"] and len(good["groundedness"]) == 8
    assert set(good["refusal"].values()) == {1.0}, "an answer that is no refusal is a good one"

    same = run(stage, dataset, first["experiment"])
    assert {each["metric"] for each in same["comparison"]} >= {"groundedness", "answer_relevance"}
    assert same["regressed"] == [] and offline_report.gate_failure(same) == ""
    assert same["experiment"].startswith("offline-local-")

    service.answer = lambda query: INVENTED if query in QUESTIONS[:6] else GROUNDED
    with pytest.raises(TwinError, match=r"not passed: .*groundedness went from .*/traces/"):
        evaluation.evaluate(stage="local", dataset=dataset, baseline=first["experiment"], as_json=True, newest=0)
    worse = json.loads(capsys.readouterr().out)
    assert "groundedness" in worse["regressed"]
    (found,) = [each for each in worse["comparison"] if each["metric"] == "groundedness"]
    assert found["high"] < 0 and found["items"] == 8 and len(found["worst"]) == 5
    assert {sample["query"] for sample in found["worst"]} <= set(QUESTIONS[:6])
    losses = [sample["now"] - sample["baseline"] for sample in found["worst"]]
    assert losses == sorted(losses)
    # The links lead to what the service itself recorded.
    trace_id = found["worst"][0]["trace"].rpartition("/")[2]
    trace = httpx.get(f"{collector}/v1/private/traces/{trace_id}", trust_env=False).json()
    assert trace["output"] == {"answer": INVENTED}
    assert {score["name"] for score in trace["feedback_scores"]} >= {"groundedness"}

    with pytest.raises(TwinError):
        evaluation.evaluate(stage="local", dataset=dataset, baseline=first["experiment"], as_json=False, newest=0)
    shown = capsys.readouterr().out
    assert "WORSE" in shown and "Low is good: " in shown and trace_id not in shown and "/traces/" in shown
    table = [line for line in shown.splitlines() if line.startswith(("│", "┏"))]
    assert table and max(len(line) for line in table) <= 80


def test_a_judges_score_of_which_more_is_worse(
    stage: Stage, service: Service, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(body: dict[str, Any], _number: int) -> Reply:
        if body["response_format"]["json_schema"]["name"] != "HallucinationResponseFormat":
            return Reply(status=400, body="{}")
        return Reply(json.dumps({"score": float("Penguins" in json.dumps(body["messages"])), "reason": ["r"]}))

    with JudgeServer(script) as server:
        for name, value in {"PROVIDER": "openai", "URL": f"{server.url}/v1", "MODEL": "tested"}.items():
            monkeypatch.setenv(f"TWIN_JUDGE__{name}", value)
        first = run(stage, dataset, newest=3)
        service.answer = lambda _: INVENTED
        worse = run(stage, dataset, first["experiment"], newest=3)
        free = run(stage, dataset, first["experiment"], newest=3, judged=False)
    assert (first["config"]["judge"], first["means"]["hallucination"]) == ("tested", 0.0)
    assert first["judging"]["calls"] > 0 and first["failed"] > 0
    (found,) = [each for each in worse["comparison"] if each["metric"] == "hallucination"]
    assert (found["baseline"], found["now"], found["low"], found["regressed"]) == (0.0, 1.0, 1.0, True)
    assert free["judging"] is None and "hallucination" in free["not_compared"]


def test_a_service_that_asks_for_patience_gets_it_and_one_that_fails_is_named(
    stage: Stage, service: Service, dataset: str
) -> None:
    service.refusals = [(429, {"Retry-After": "1"})]
    report = run(stage, dataset, newest=2, concurrency=2)
    assert report["unanswered"] == [] and service.asked == 3
    service.refusals = [(422, {})]
    report = run(stage, dataset, newest=2, concurrency=2)
    assert [each["problem"] for each in report["unanswered"]] == ["The RAG service answered 422: Not now."]
    assert "1 questions got no answer" in offline_report.gate_failure(report)
    service.refusals = [(422, {})] * 8
    with pytest.raises(TwinError, match=r"None of the first 1 questions was answered.*Not now"):
        run(stage, dataset, concurrency=1)


def test_what_is_missing_is_a_sentence(
    stage: Stage, service: Service, dataset: str, collector: str, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TwinError, match=r"no dataset 'nothing' in project"):
        run(stage, "nothing")
    with pytest.raises(TwinError, match=r"no experiment 'nothing' in project"):
        run(stage, dataset, "nothing")
    with httpx.Client(base_url=f"{collector}/v1/private", trust_env=False) as opik:
        for name in ("other", "empty"):
            opik.post("/datasets", json={"name": f"{name}-{dataset}", "project_name": project}).raise_for_status()
        experiment = {"name": f"of-{dataset}", "dataset_name": f"other-{dataset}", "project_name": project}
        opik.post("/experiments", json=experiment).raise_for_status()
    with pytest.raises(TwinError, match=r"has no scores of items of dataset .* nothing to compare with"):
        run(stage, dataset, f"of-{dataset}")
    with pytest.raises(TwinError, match=r"No item of dataset .* has a question"):
        run(stage, f"empty-{dataset}")
    service.ready = (503, {"dependencies": {"qdrant": {"state": "down", "detail": "Qdrant is away."}}})
    with pytest.raises(TwinError, match=r"not ready: qdrant: Qdrant is away\."):
        run(stage, dataset)
    service.stop()
    with pytest.raises(TwinError, match="cannot be reached"):
        run(stage, dataset)
    assert service.asked == 0
    away: Any = SimpleNamespace(ports={"opik": 9, "aws": 9})
    with pytest.raises(TwinError, match=r"Opik at .* cannot be reached"):
        run(Stage("local", "us-east-1", {}, away), dataset)
    with pytest.raises(TwinError, match="name its --dataset"):
        evaluation.evaluate(stage="local", dataset="", baseline="b", newest=0)


def test_a_trace_that_does_not_arrive_ends_the_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "RECORDED_SECONDS", 0.1)
    with pytest.raises(TwinError, match="has not arrived in Opik"):
        asking.read_traces(offline.opik_reader(stage), [uuid7()], 1)


def test_a_stage_on_aws_has_its_own_opik_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("dev", "eu-west-1")
    secrets = SimpleNamespace(get_secret_value=lambda SecretId: {"SecretString": f"key of {SecretId}\n"})  # noqa: N803
    monkeypatch.setattr(Stage, "client", lambda _self, service, **_: {"secretsmanager": secrets}[service])
    monkeypatch.setattr(offline, "outputs", lambda _: {"OpikApiKeySecretArn": "arn"})
    monkeypatch.setenv("TWIN_MONITORING__OPIK_URL", "https://opik.example/api")
    for name in ("OPIK_URL_OVERRIDE", "OPIK_API_KEY", "OPIK_WORKSPACE"):
        monkeypatch.setenv(name, "")  # put back afterwards
        monkeypatch.delenv(name)
    offline._use_stage_opik(stage)
    assert (os.environ["OPIK_URL_OVERRIDE"], os.environ["OPIK_API_KEY"]) == ("https://opik.example/api", "key of arn")
    monkeypatch.setenv("OPIK_API_KEY", "mine")
    offline._use_stage_opik(stage)
    assert os.environ["OPIK_API_KEY"] == "mine"
