"""What a judged run leaves in CloudWatch, and the profile of answers in the functions' table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import opik
import pytest
from opik.api_objects.opik_client import reset_global_client
from opik.evaluation import evaluate

from services.common.ids import uuid7
from services.evaluation.judges.session import JudgingReport
from services.evaluation.metrics.drift import Drift, Profile, measure_drift
from services.evaluation.metrics.summary import ItemScores
from services.evaluation.run.opik_metrics import RecordedMetrics, stored_answer
from services.evaluation.run.quality_metrics import publish
from services.evaluation.run.scored_shard import ScoredItem
from services.evaluation.state import State

REPORT = JudgingReport(
    judge="m", calls=7, input_tokens=700, output_tokens=70, dollars=0.21, repaired=1, stopped=2, month="2026-11",
    month_dollars=1.0, cap_dollars=1.0, recorded=True, message="stopped",
)  # fmt: skip
ANSWER = "The endpoint is asleep and it wakes with the first request of the day."


def values(namespace: str, name: str, **dimensions: str) -> list[float]:
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=10),
        Period=3600,
        Statistics=["Minimum", "Maximum"],
    )["Datapoints"]
    return [points[0]["Minimum"], points[0]["Maximum"]] if points else []


def test_scores_tails_counts_and_costs(aws: str) -> None:
    namespace = f"LLMTwin-{uuid7()}"
    scores = [ItemScores(f"t{n}", {"groundedness": n / 10, "hallucination": n / 10}) for n in range(11)]
    scores.append(ItemScores("bad", {}, ("hallucination",)))
    items = [ScoredItem(each, "model-a", is_answer=True) for each in scores]
    items.append(ScoredItem(ItemScores("none", {}), "model-a", is_answer=False))
    publish(boto3.client("cloudwatch"), namespace, "t", items, REPORT, Drift(length=0.25, language=0.5))
    names = {found["MetricName"] for found in boto3.client("cloudwatch").list_metrics(Namespace=namespace)["Metrics"]}
    assert {"Groundedness", "GroundednessP10", "Hallucination", "HallucinationP90", "LengthDrift"} <= names
    assert "GroundednessP90" not in names and "Style" not in names
    expected = {
        "HallucinationP90": 0.9,
        "HallucinationSamples": 11,
        "HallucinationFailed": 1,
        "GroundednessP10": 0.1,
        "JudgeCost": 0.21,
        "JudgementsStopped": 2,
        "LanguageDrift": 0.5,
        "FailedAnswers": 1,
    }
    for name, value in expected.items():
        assert values(namespace, name, Stage="t")[:1] == pytest.approx([value]), name
    known = [
        found["Dimensions"]
        for found in boto3.client("cloudwatch").list_metrics(Namespace=namespace, MetricName="Hallucination")["Metrics"]
    ]
    stage = {"Name": "Stage", "Value": "t"}
    assert len(known) == 2 and [stage] in known
    assert sorted(len(dimensions) for dimensions in known) == [1, 2]


def test_scores_computed_ahead_reach_the_experiment(collector: str) -> None:
    client = opik.Opik(
        project_name="judging", workspace="default", host=collector, api_key="k", _show_misconfiguration_message=False
    )
    opik.set_global_client(client)
    try:
        dataset = client.get_or_create_dataset(f"Judged-{uuid7()}")
        good, bad = uuid7(), uuid7()
        stored = {"input": {"query": "q"}, "expected_output": {"answer": "a", "context": []}}
        dataset.insert([{"id": good, **stored}, {"id": bad, **stored}], deduplication=False)
        items = [
            ItemScores(good, {"style": 0.5}, (), {"style": "plain"}),
            ItemScores(bad, {"moderation": 0.0}, ("style",), {"style": "malformed twice"}),
        ]
        result = evaluate(
            dataset=dataset,
            task=stored_answer,
            scoring_metrics=[RecordedMetrics({item.trace_id: item for item in items})],
            task_threads=2,
            verbose=0,
        )
        found = {
            test.test_case.dataset_item_id: {
                score.name: (score.value, score.reason, score.scoring_failed) for score in test.score_results
            }
            for test in result.test_results
        }
        assert found == {
            good: {"style": (0.5, "plain", False)},
            bad: {"moderation": (0.0, None, False), "style": (0.0, "malformed twice", True)},
        }
    finally:
        client.end(timeout=5)
        reset_global_client()


def test_profile_of_answers_is_kept_between_runs(state_table: str) -> None:
    state, dataset = State(state_table), "answers"

    def measure(*answers: str) -> Drift | None:
        profile = Profile.of(answers)
        assert profile is not None
        return measure_drift(state, dataset, profile)

    assert measure(*[ANSWER] * 30) is None
    same = measure(*[ANSWER] * 3)
    assert same is not None and same.length == pytest.approx(0.0, abs=0.01) and same.language == 0.0
    longer = measure(*[ANSWER * 10] * 3)
    assert longer is not None and longer.length == 1.0
