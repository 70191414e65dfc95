"""From the samples queue to the experiment, with the unmodified Opik SDK against the collector."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import opik
import pytest
from botocore.exceptions import ClientError
from opik.api_objects.opik_client import reset_global_client

from services.common.ids import uuid7
from services.common.lambda_runtime import start
from services.evaluation.dataset.monitoring_dataset import connect
from services.evaluation.handlers import collect_samples, evaluate_monitoring, expire_samples, finish_run, judge_shard
from services.evaluation.handlers.collect_samples import SampleCollector
from services.evaluation.handlers.evaluate_monitoring import MonitoringEvaluation
from services.evaluation.run.bookkeeping import Lease
from services.evaluation.run.shards import Shard
from services.evaluation.settings import CollectSettings, EvaluateSettings
from services.evaluation.state import State
from tests.integration.evaluation.judge_server import CALL_DOLLARS, PRICE, JudgeServer, by_shape
from tests.integration.evaluation.refusing import RefusingCloudWatch

CONTEXT = [
    "Scale to zero removes every copy of an inference component after ten idle minutes. Waking takes several minutes, "
    "because a new instance has to start and download the model.",
    "The RAG service keeps the request open and tells the caller that the model is waking.",
]
QUESTION = "What happens when the endpoint scales to zero?"
GROUNDED = "After ten idle minutes scale to zero removes every copy of an inference component [1]."
INVENTED = "Penguins were elected to the parliament of Norway. Their first law concerned herring and winter tyres."


def sample(answer: str = GROUNDED, **changes: Any) -> dict[str, Any]:
    return {
        "trace_id": uuid7(),
        "query": QUESTION,
        "answer": answer,
        "context": CONTEXT,
        "metadata": {"model_id": "extractive", "prompt_version": "1", "stage": "t"},
        **changes,
    }


def sqs_event(*bodies: Any) -> dict[str, Any]:
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {"Records": [{"messageId": f"m{number}", "body": text} for number, text in enumerate(texts)]}


@pytest.fixture(autouse=True)
def fresh_sdk() -> Iterator[None]:
    """The SDK's own client of the process does not outlive a test."""
    yield
    reset_global_client()


def collector_now() -> SampleCollector:
    """A new process of `collect_samples`."""
    return SampleCollector.from_settings(start(CollectSettings))


def evaluation_now() -> MonitoringEvaluation:
    """A new process of `evaluate_monitoring`."""
    return MonitoringEvaluation.from_settings(start(EvaluateSettings))


def collect(event: dict[str, Any]) -> list[str]:
    """Ids of the messages that a new process reports back."""
    return [failure["itemIdentifier"] for failure in collector_now().collect(event)["batchItemFailures"]]


def evaluate(*, full: bool = False) -> dict[str, Any]:
    """The report of a new process."""
    return evaluation_now().evaluate(60, full=full)


@pytest.fixture
def dataset(
    opik_settings: dict[str, str],
    watermark: str,
    embedding_model: Path,
    set_environment: Callable[..., None],
) -> str:
    """The Lambdas' environment with an unused dataset name, which it returns."""
    name = opik_settings["DATASET_NAME"]
    set_environment(
        **opik_settings,
        EMBEDDING_MODEL_DIR=str(embedding_model),
        METRIC_NAMESPACE=f"LLMTwin-{name}",
        WATERMARK_PARAMETER_NAME=watermark,
        LLM_MODEL_ID="extractive",
        EVALUATE_FUNCTION_NAME="absent",
        EVALUATE_EVERY="1000",
    )
    return name


@pytest.fixture
def metric(dataset: str) -> Callable[[str], list[float]]:
    """Reads a metric back from CloudWatch, with the dimension of the contract."""
    client = boto3.client("cloudwatch")

    def values(name: str) -> list[float]:
        metrics = client.list_metrics(Namespace=f"LLMTwin-{dataset}", MetricName=name)["Metrics"]
        if not metrics:
            return []
        dimensions = {
            frozenset((each["Name"], each["Value"]) for each in found["Dimensions"]) - {("ModelId", "extractive")}
            for found in metrics
        }
        assert dimensions == {frozenset({("Stage", "t")})}
        now = datetime.now(UTC)
        points = client.get_metric_statistics(
            Namespace=f"LLMTwin-{dataset}",
            MetricName=name,
            Dimensions=[{"Name": "Stage", "Value": "t"}],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=10),
            Period=3600,
            Statistics=["Minimum", "Maximum"],
        )["Datapoints"]
        return [points[0]["Minimum"], points[0]["Maximum"]]

    return values


def stored(name: str) -> dict[str, dict[str, Any]]:
    client = opik.get_global_client()
    return {item["id"]: item for item in client.get_dataset(name).get_items()}


def test_samples_are_stored_once_and_a_bad_message_fails_alone(dataset: str, caplog: pytest.LogCaptureFixture) -> None:
    first, second = sample(), sample(INVENTED)
    with caplog.at_level(logging.INFO, logger="services"):
        collector = collector_now()
        logging.getLogger().addHandler(caplog.handler)
        answer = collector.collect(sqs_event(first, "not json", second, {**first, "query": ""}))
        logging.getLogger().removeHandler(caplog.handler)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m1", "m3"]
    assert "message m1 is not a sample and goes to the dead-letter queue" in caplog.text
    assert GROUNDED not in caplog.text
    assert collect(sqs_event(first, first, second)) == []
    items = stored(dataset)
    assert set(items) == {first["trace_id"], second["trace_id"]}
    item = items[first["trace_id"]]
    assert item["input"] == {"query": QUESTION}
    assert item["expected_output"] == {"answer": GROUNDED, "context": CONTEXT}
    assert item["metadata"] == {**first["metadata"], "trace_id": first["trace_id"]}


def test_nothing_is_acknowledged_while_opik_is_away(dataset: str, set_environment: Callable[..., None]) -> None:
    set_environment(OPIK_URL_OVERRIDE="http://127.0.0.1:9/api")
    assert collect(sqs_event(sample(), "bad", sample())) == ["m1", "m0", "m2"]


def test_nothing_is_acknowledged_without_the_api_key(dataset: str, set_environment: Callable[..., None]) -> None:
    set_environment(OPIK_API_KEY_SECRET_ARN="arn:aws:secretsmanager:us-east-1:000000000000:secret:absent")
    assert collect(sqs_event(sample())) == ["m0"]


def test_evaluation_scores_what_is_new_and_moves_on(
    dataset: str, watermark: str, metric: Callable[[str], list[float]]
) -> None:
    good, bad = sample(), sample(INVENTED)
    collect(sqs_event(good, bad))
    result = evaluate()
    assert json.loads(json.dumps(result)) == result
    assert (result["dataset"], result["scored"], result["failed"]) == (dataset, 2, 0)
    first_worst, second_worst = result["worst"]
    assert (first_worst["trace_id"], second_worst["trace_id"]) == (bad["trace_id"], good["trace_id"])
    assert second_worst["groundedness"] > 0.8 > 0.2 > first_worst["groundedness"]
    assert second_worst["answer_relevance"] > first_worst["answer_relevance"]
    assert result["means"]["groundedness"] == pytest.approx(
        (first_worst["groundedness"] + second_worst["groundedness"]) / 2, abs=1e-3
    )

    (experiment,) = opik.get_global_client().get_experiments_by_name(result["experiment"])
    items = experiment.get_items()
    assert {item.dataset_item_id for item in items} == {good["trace_id"], bad["trace_id"]}
    scores = {item.dataset_item_id: {s["name"]: s["value"] for s in item.feedback_scores} for item in items}
    assert scores[good["trace_id"]]["groundedness"] == pytest.approx(second_worst["groundedness"], abs=1e-3)
    config = experiment.get_experiment_data().metadata
    assert config["model_id"] == "extractive"
    assert config["prompt_version"] == ["1"]
    assert config["metric_version"] == "embedding-2"

    assert metric("Groundedness") == pytest.approx([result["means"]["groundedness"]] * 2)
    assert metric("GroundednessP10") == pytest.approx([result["p10"]["groundedness"]] * 2)
    assert metric("AnswerRelevance") == pytest.approx([result["means"]["answer_relevance"]] * 2)
    assert metric("AnswerRelevanceP10") == pytest.approx([result["p10"]["answer_relevance"]] * 2)
    assert (metric("ScoredSamples"), metric("FailedScores")) == ([2, 2], [0, 0])

    nothing_new = evaluate()
    assert (nothing_new["experiment"], nothing_new["scored"], nothing_new["means"]) == (None, 0, {})
    later = sample()
    collect(sqs_event(later))
    incremental = evaluate()
    assert [item["trace_id"] for item in incremental["worst"]] == [later["trace_id"]]
    assert evaluate(full=True)["scored"] == 3
    assert evaluate()["scored"] == 0


def test_scores_that_cannot_be_computed_are_counted(dataset: str, metric: Callable[[str], list[float]]) -> None:
    empty, no_context = sample(answer=""), sample(context=[])
    collect(sqs_event(sample(), empty, no_context))
    result = evaluate()
    assert (result["scored"], result["failed"]) == (2, 2)
    assert empty["trace_id"] not in [item["trace_id"] for item in result["worst"]]
    (without,) = [item for item in result["worst"] if item["trace_id"] == no_context["trace_id"]]
    assert "answer_relevance" in without and "groundedness" not in without
    assert metric("FailedScores") == [2, 2]


def test_failed_run_does_not_move_the_watermark(dataset: str, watermark: str) -> None:
    kept = sample()
    collect(sqs_event(kept))
    ssm = boto3.client("ssm")
    before = ssm.get_parameter(Name=watermark)["Parameter"]["Value"]
    evaluation = evaluation_now()
    refused = replace(evaluation.completion, cloudwatch=RefusingCloudWatch())
    with pytest.raises(ClientError, match="AccessDenied"):
        replace(evaluation, completion=refused).evaluate(60)
    assert ssm.get_parameter(Name=watermark)["Parameter"]["Value"] == before
    assert [item["trace_id"] for item in evaluate()["worst"]] == [kept["trace_id"]]
    assert ssm.get_parameter(Name=watermark)["Parameter"]["Value"].endswith("Z")


def test_the_handlers_build_their_clients_once_from_their_environment(dataset: str) -> None:
    first, second = sample(), sample()
    for each in (first, second):
        assert collect_samples.handler(sqs_event(each), None) == {"batchItemFailures": []}
    assert set(stored(dataset)) == {first["trace_id"], second["trace_id"]}
    assert evaluate_monitoring.handler({}, None)["scored"] == 2
    assert evaluate_monitoring.handler({"full": True}, None)["scored"] == 2
    assert evaluate_monitoring.handler(None, None)["scored"] == 0


def test_the_handlers_of_a_long_run_and_of_the_retention_build_their_clients(
    dataset: str, state_table: str, set_environment: Callable[..., None]
) -> None:
    set_environment(RETENTION_DAYS=json.dumps({dataset: 1}))
    collect(sqs_event(sample(), sample()))
    shard = Shard(None, datetime.now(UTC) + timedelta(hours=1)).as_dict()
    work = {"run": "long", "full": False, "shard": shard}
    assert Lease(State(state_table), "long").acquire(60)
    assert judge_shard.handler(work, None)["experiment"].startswith("monitoring-t")
    assert finish_run.handler({"run": "long", "full": False, "work": [work]}, None)["scored"] == 2
    assert expire_samples.handler({}, None) == {"deleted": {dataset: 0}}


def test_a_stage_without_a_sample_has_nothing_to_judge_and_says_so(
    dataset: str, metric: Callable[[str], list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    report = evaluate()
    assert (report["state"], report["experiment"], report["scored"]) == ("done", None, 0)
    assert metric("ScoredSamples")[-1] == 0.0
    assert f"no dataset '{dataset}'" in capsys.readouterr().out


def test_a_judge_scores_the_answers_and_their_traces(
    dataset: str, metric: Callable[[str], list[float]], state_table: str, set_environment: Callable[..., None]
) -> None:
    cap = 8 * CALL_DOLLARS
    with JudgeServer(by_shape) as server:
        set_environment(
            JUDGE_PROVIDER="openai",
            JUDGE_URL=f"{server.url}/v1",
            JUDGE_MODEL="judge-model",
            JUDGE_INPUT_PRICE=str(PRICE.input),
            JUDGE_OUTPUT_PRICE=str(PRICE.output),
            JUDGE_MONTHLY_CAP_USD=str(cap),
            JUDGE_CONCURRENCY="2",
        )
        first = sample()
        collect(sqs_event(first))
        client = connect(start(EvaluateSettings))
        client.trace(id=first["trace_id"], name="generate", project_name="llm-twin")
        result = evaluate()
        assert result["means"] | {"hallucination": 0.25, "moderation": 0.0, "style": 0.5} == result["means"]
        assert (
            result["judging"] | {"judge": "judge-model", "calls": 5, "stopped": 0, "message": ""} == result["judging"]
        )
        collect(sqs_event(sample(), sample()))
        second = evaluate()
    assert second["scored"] == 2 and second["failed"] == 0, "a judgement beyond the budget is not a failure"
    assert "Judging stopped" in second["judging"]["message"]
    assert second["judging"]["month_dollars"] <= cap
    assert State(state_table).counters(f"judging/{second['judging']['month']}")["calls"] == len(server.requests)
    assert metric("JudgeCost")[1] == pytest.approx(5 * CALL_DOLLARS)
    assert metric("JudgementsStopped")[1] == second["judging"]["stopped"] > 0
    (experiment,) = client.get_experiments_by_name(result["experiment"])
    assert experiment.get_experiment_data().metadata["judge"] == "judge-model"
    scores = {
        score.name: (score.value, score.reason) for score in client.get_trace_content(first["trace_id"]).feedback_scores
    }
    assert scores["hallucination"] == (0.25, "one detail is new") and "groundedness" in scores
