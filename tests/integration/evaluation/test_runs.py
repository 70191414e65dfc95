"""Runs of the evaluation beside one another, started by count, and shared out over a state machine."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import opik
import pytest
from botocore.exceptions import ClientError
from opik.api_objects.opik_client import reset_global_client

from services.common.ids import uuid7
from services.common.lambda_runtime import once_per_process, start
from services.evaluation.dataset.monitoring_dataset import connect, read_items
from services.evaluation.handlers.evaluate_monitoring import MonitoringEvaluation
from services.evaluation.handlers.expire_samples import expire_samples
from services.evaluation.handlers.finish_run import finish_run
from services.evaluation.handlers.judge_shard import judge_shard
from services.evaluation.metrics.summary import ItemScores
from services.evaluation.run.bookkeeping import Lease, count_samples
from services.evaluation.run.completion import RunCompletion
from services.evaluation.run.function_call import start_evaluation
from services.evaluation.run.scored_shard import ScoredItem, ScoredShard
from services.evaluation.run.shard_scoring import ShardScorer, TextEmbedder
from services.evaluation.run.shards import Shard
from services.evaluation.settings import EvaluateSettings, ExpireSamplesSettings
from services.evaluation.state import State
from tests.integration.evaluation.refusing import RefusingCloudWatch

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
PASS = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
PLENTY = 10_000


@pytest.fixture(autouse=True)
def fresh_sdk() -> Iterator[None]:
    """The SDK's own client of the process does not outlive a test."""
    yield
    reset_global_client()


class WordEmbedder:
    """Vectors of words by their hash: tells same texts from others in microseconds."""

    model_id = "words"

    def embed(self, texts: Sequence[str]) -> Any:
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, sum(word.encode()) % 64] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def scorer(embedder: Callable[[], TextEmbedder] = WordEmbedder, kind: type[ShardScorer] = ShardScorer) -> ShardScorer:
    """A scorer of a new process, without the model of sentences."""
    settings = start(EvaluateSettings)
    return kind(settings, State(settings.state_table_name), once_per_process(lambda: connect(settings)), embedder)


def evaluation(judge: ShardScorer | None = None, **clients: Any) -> MonitoringEvaluation:
    """A new process of `evaluate_monitoring`; `clients` replaces some of its completion."""
    found = judge or scorer()
    completion = replace(RunCompletion.from_scorer(found), **clients)
    return MonitoringEvaluation(found, completion, lambda: boto3.client("stepfunctions"))


def evaluate() -> dict[str, Any]:
    """The report of a new process."""
    return evaluation().evaluate(60)


def finish(work: dict[str, Any]) -> dict[str, Any]:
    """The summary of a new process of `finish_run`, which starts nothing."""
    return finish_run(RunCompletion.from_scorer(scorer()), work, lambda _: None)


@pytest.fixture
def machine(aws: str) -> Iterator[str]:
    """A state machine that takes executions and does nothing: the tests do its work."""
    client, iam, name = boto3.client("stepfunctions"), boto3.client("iam"), f"judging-{uuid7()}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    arn = client.create_state_machine(name=name, definition=json.dumps(PASS), roleArn=role)["stateMachineArn"]
    yield str(arn)
    client.delete_state_machine(stateMachineArn=arn)
    iam.delete_role(RoleName=name)


@pytest.fixture
def dataset(
    opik_settings: dict[str, str],
    watermark: str,
    machine: str,
    set_environment: Callable[..., None],
) -> str:
    name = opik_settings["DATASET_NAME"]
    set_environment(
        **opik_settings,
        EMBEDDING_MODEL_DIR="/absent",
        METRIC_NAMESPACE=f"LLMTwin-{name}",
        WATERMARK_PARAMETER_NAME=watermark,
        LLM_MODEL_ID="m1",
        STATE_MACHINE_ARN=machine,
        SHARD_SIZE="3",
        RETENTION_DAYS=json.dumps({name: 30, "absent": 1}),
    )
    return name


def items(number: int, **metadata: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": (trace_id := uuid7()),
            "input": {"query": "how does it scale"},
            "expected_output": {"answer": f"it scales to {n}", "context": [f"it scales to {n}"]},
            "metadata": {"trace_id": trace_id, "model_id": f"m{n % 2}", "prompt_version": "2", **metadata},
        }
        for n in range(number)
    ]


def insert(name: str, wanted: list[dict[str, Any]], size: int) -> set[str]:
    """Put items into the dataset `size` at a time: those of one call share a creation time, or nearly so."""
    found = connect(start(EvaluateSettings)).get_or_create_dataset(name)
    for first in range(0, len(wanted), size):
        found.insert(wanted[first : first + size], deduplication=False)
    return {item["id"] for item in wanted}


def value(name: str, metric: str, model: str | None = None) -> float:
    """Sum of a metric's published values."""
    dimensions = [{"Name": "Stage", "Value": "t"}, *([{"Name": "ModelId", "Value": model}] if model else [])]
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=f"LLMTwin-{name}",
        MetricName=metric,
        Dimensions=dimensions,
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=10),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def execution(machine: str) -> dict[str, Any]:
    """Input of the one execution of a state machine."""
    client = boto3.client("stepfunctions")
    (found,) = client.list_executions(stateMachineArn=machine)["executions"]
    read: dict[str, Any] = json.loads(client.describe_execution(executionArn=found["executionArn"])["input"])
    return read


def judged_ids(experiments: Sequence[str]) -> Counter[str]:
    client = opik.get_global_client()
    return Counter(
        item.dataset_item_id
        for name in experiments
        for experiment in client.get_experiments_by_name(name)
        for item in experiment.get_items()
    )


def test_only_one_of_many_gets_the_lease_and_a_dead_one_loses_it(state_table: str) -> None:
    leases = [Lease(State(state_table), f"run-{number}") for number in range(8)]
    got: list[Lease] = []
    threads = [threading.Thread(target=lambda each=each: each.acquire(60) and got.append(each)) for each in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = got
    assert not winner.release(), "the others asked meanwhile"
    assert winner.acquire(60)
    assert winner.release()
    dead, heir = leases[0], leases[1]
    assert dead.acquire(-5)
    assert heir.acquire(60)
    dead.drop()
    assert not dead.acquire(60), "only the holder can give the lease back"


def test_a_run_beside_another_returns_and_the_other_looks_once_more(dataset: str) -> None:
    first = insert(dataset, items(2), 2)
    later: set[str] = set()
    seen: list[dict[str, Any]] = []

    def interrupted() -> WordEmbedder:
        if not seen:
            later.update(insert(dataset, items(2), 2))
            seen.append(evaluate())
        return WordEmbedder()

    report = evaluation(scorer(interrupted)).evaluate(60)
    assert [each["state"] for each in seen] == ["busy"]
    assert {item["trace_id"] for item in report["worst"]} == later
    assert value(dataset, "ScoredSamples") == 4
    assert len(first | later) == 4


def test_what_a_failed_run_judged_is_not_judged_again(dataset: str) -> None:
    insert(dataset, items(3), 3)
    with pytest.raises(ClientError, match="AccessDenied"):
        evaluation(cloudwatch=RefusingCloudWatch()).evaluate(60)
    loaded: list[WordEmbedder] = []

    def counting() -> WordEmbedder:
        loaded.append(WordEmbedder())
        return loaded[-1]

    report = evaluation(scorer(counting)).evaluate(60)
    assert (report["state"], report["scored"], loaded) == ("done", 3, [])


def test_a_run_that_is_asked_for_while_the_state_machine_judges_is_started_at_its_end(
    dataset: str, machine: str, set_environment: Callable[..., None]
) -> None:
    set_environment(EVALUATE_FUNCTION_NAME="evaluate")
    insert(dataset, items(6), 3)
    assert evaluate()["state"] == "started"
    work = execution(machine)
    assert evaluate()["state"] == "busy"
    for each in work["work"]:
        judge_shard(scorer(), each)
    invoked: list[str] = []
    assert finish_run(RunCompletion.from_scorer(scorer()), work, invoked.append)["scored"] == 6
    assert invoked == ["evaluate"]
    assert evaluate()["state"] == "done", "the lease is free"


def test_each_multiple_of_fifty_starts_one_evaluation(state_table: str) -> None:
    calls: list[None] = []
    state = State(state_table)
    started: list[bool] = []

    def collect() -> None:
        started.extend(count_samples(state, 7, 50, lambda: calls.append(None)) for _ in range(10))

    threads = [threading.Thread(target=collect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started.count(True) == len(calls) == 4 * 10 * 7 // 50


def test_an_evaluation_is_started_without_waiting_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    client = SimpleNamespace(invoke=lambda **call: calls.append(call))
    monkeypatch.setattr(boto3, "client", {"lambda": client}.__getitem__)
    start_evaluation("judge")
    assert calls == [{"FunctionName": "judge", "InvocationType": "Event", "Payload": b"{}"}]


def test_failed_requests_are_counted_and_not_judged(dataset: str) -> None:
    failed = items(1, error="InvocationTimeout")
    failed[0]["expected_output"] = {"answer": "", "context": []}
    insert(dataset, [*items(2), *failed], 3)
    report = evaluate()
    assert (report["scored"], report["failed"]) == (2, 0)
    assert value(dataset, "FailedAnswers") == 1
    assert value(dataset, "GroundednessSamples") == 2
    assert value(dataset, "GroundednessSamples", "m1") == 1
    assert value(dataset, "Groundedness", "m1") == pytest.approx(1.0)


def test_a_failed_long_run_leaves_the_watermark_and_the_next_one_takes_over(dataset: str, machine: str) -> None:
    ids = insert(dataset, items(9), 3)
    assert evaluate()["state"] == "started"
    work = execution(machine)
    assert evaluate()["state"] == "busy"
    done = [judge_shard(scorer(), each)["experiment"] for each in work["work"][:2]]
    with pytest.raises(LookupError):
        finish(work)
    assert finish({**work, "failed": True}) == {}
    assert value(dataset, "ScoredSamples") == 0
    again = evaluate()
    assert again["state"] == "started"
    runs = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert len({each["name"] for each in runs}) == 2
    for each in work["work"]:
        done.append(judge_shard(scorer(), each)["experiment"])
    assert judged_ids(sorted(set(done))) == Counter(ids)


def test_a_map_over_ten_thousand_samples_judges_each_once(
    dataset: str, machine: str, set_environment: Callable[..., None]
) -> None:
    set_environment(SHARD_SIZE="500")
    ids = insert(dataset, items(PLENTY), 250)
    judged: Counter[str] = Counter()

    class WithoutOpik(ShardScorer):
        """Reads the window and keeps scores; the SDK's own bookkeeping of 10,000 traces is left out."""

        def score(self, run: str, shard: Shard, mode: str) -> ScoredShard:
            name, project = self.settings.dataset_name, self.settings.opik_project_name
            found = list(read_items(self.opik_client(), name, project, shard.after, shard.until))
            judged.update(item.id for item in found)
            values = {"groundedness": 0.5, "answer_relevance": 0.25}
            scored = [ScoredItem(ItemScores(item.id, values), item.metadata["model_id"], True) for item in found]
            return ScoredShard(f"{run}-{shard.key}", scored, None, None)

    without_opik = scorer(kind=WithoutOpik)
    assert evaluate()["state"] == "started"
    work = execution(machine)
    assert len(json.dumps(work)) < 256 * 1024, "more than an execution takes as input"
    assert 20 <= len(work["work"]) <= 40
    for each in [*work["work"], *work["work"][:3]]:
        assert judge_shard(without_opik, each)["experiment"]
    summary = finish(work)
    assert judged == Counter(ids)
    assert (summary["scored"], summary["failed"]) == (PLENTY, 0)
    assert summary["means"] == {"groundedness": 0.5, "answer_relevance": 0.25}
    assert value(dataset, "ScoredSamples") == PLENTY
    assert value(dataset, "ScoredSamples", "m0") == PLENTY / 2
    nothing = evaluate()
    assert (nothing["state"], nothing["scored"]) == ("done", 0)


def test_items_older_than_their_retention_are_removed(dataset: str) -> None:
    old = insert(dataset, items(3), 3)
    time.sleep(1.1)
    cut = datetime.now(UTC)
    time.sleep(0.1)
    new = insert(dataset, items(2), 2)
    settings = start(ExpireSamplesSettings)
    client, later = connect(settings), cut + timedelta(days=30)
    assert expire_samples(settings, client, later) == {"deleted": {dataset: len(old)}}
    assert {item["id"] for item in client.get_dataset(dataset).get_items()} == new
    assert expire_samples(settings, client, later) == {"deleted": {dataset: 0}}
