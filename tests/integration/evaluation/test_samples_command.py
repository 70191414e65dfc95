"""`twin samples`: from a recorded trace, and from the dead-letter queue, into the samples queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import httpx
import pytest

from services.common.ids import uuid7
from services.common.opik_api import OpikApi
from services.common.tracing import Trace
from services.evaluation.dataset.samples import Sample
from tests.aws import aws_environment
from twin.evaluate.samples import samples
from twin.target.errors import TwinError
from twin.target.opik_client import OpikReader
from twin.target.stage import Stage


@pytest.fixture
def queues(aws: str) -> Iterator[dict[str, str]]:
    sqs = boto3.client("sqs")
    urls = {
        "SamplesQueueUrl": sqs.create_queue(QueueName=f"samples-{uuid7()}")["QueueUrl"],
        "SamplesDeadLetterQueueUrl": sqs.create_queue(QueueName=f"dead-{uuid7()}")["QueueUrl"],
    }
    yield urls
    for url in urls.values():
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def stage(aws: str, collector: str, queues: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Stage:
    port = httpx.URL(collector).port
    local: Any = SimpleNamespace(ports={"opik": port})
    found = Stage(
        name="local",
        region="us-east-1",
        environment=aws_environment(aws),
        local=local,
    )
    monkeypatch.setattr(samples, "outputs", lambda _: queues)
    monkeypatch.setattr(samples, "opik_reader", lambda each: OpikReader(each, "llm-twin"))
    return found


@pytest.fixture
def answered(collector: str) -> Callable[..., str]:
    """Records a trace; gives its id."""
    api = OpikApi(collector, project_name="llm-twin")

    def record(**given: Any) -> str:
        trace = Trace("generate", input=given or {"query": "what?"}, output={"answer": "that"})
        trace.end()
        api.write([api.encode(trace)])
        return trace.id

    return record


def bodies(url: str) -> list[str]:
    found: list[str] = []
    sqs = boto3.client("sqs")
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


def test_answers_flagged_by_hand_take_the_way_of_sampled_ones(
    stage: Stage, queues: dict[str, str], answered: Callable[..., str]
) -> None:
    ids = [answered() for _ in range(12)]
    assert samples.add(stage, [*ids, ids[0]]) == ids
    sent = [Sample.parse(body) for body in bodies(queues["SamplesQueueUrl"])]
    assert sorted(str(each.trace_id) for each in sent) == sorted(ids)
    assert {(each.query, each.answer, each.metadata["flagged"]) for each in sent} == {("what?", "that", "by hand")}


def test_a_wrong_id_adds_nothing(stage: Stage, queues: dict[str, str], answered: Callable[..., str]) -> None:
    unknown = uuid7()
    with pytest.raises(TwinError, match=f"no trace {unknown}; nothing was added"):
        samples.add(stage, [answered(), unknown])
    with pytest.raises(TwinError, match=r"holds no question.*Nothing was added"):
        samples.add(stage, [answered(messages=[])])
    assert bodies(queues["SamplesQueueUrl"]) == []


def test_dead_letters_come_back_and_the_queue_is_empty(stage: Stage, queues: dict[str, str]) -> None:
    sqs = boto3.client("sqs")
    wanted = [json.dumps({"number": number}) for number in range(23)]
    for body in wanted:
        sqs.send_message(QueueUrl=queues["SamplesDeadLetterQueueUrl"], MessageBody=body)
    lines: list[str] = []
    assert samples.redrive(stage, lines.append) == 23
    assert lines[-1] == "moved 23"
    assert sorted(bodies(queues["SamplesQueueUrl"])) == sorted(wanted)
    assert samples.redrive(stage, lines.append) == 0
