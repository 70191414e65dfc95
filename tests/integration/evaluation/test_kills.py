"""The collector is killed wherever it may be: every accepted sample is in the dataset once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from services.common.ids import uuid7
from tests.integration.evaluation.poller import POINTS

ROOT = Path(__file__).parents[3]
RUN_SECONDS = 90
SAMPLES = 30


@pytest.fixture
def queue(aws: str) -> Iterator[tuple[str, str]]:
    """A queue and its dead-letter queue, with more deliveries than kills."""
    sqs = boto3.client("sqs")
    dead = sqs.create_queue(QueueName=f"dead-{uuid7()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 20})
    url = sqs.create_queue(QueueName=f"samples-{uuid7()}", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    yield str(url), str(dead)
    for each in (url, dead):
        sqs.delete_queue(QueueUrl=each)


@pytest.fixture
def dataset(opik_settings: dict[str, str], set_environment: Callable[..., None]) -> str:
    set_environment(**opik_settings, EVALUATE_FUNCTION_NAME="absent", EVALUATE_EVERY="100000")
    return opik_settings["DATASET_NAME"]


def poll(url: str, point: str) -> int:
    """Run the poller until it dies or the queue is empty; its exit code."""
    command = [sys.executable, "-m", "tests.integration.evaluation.poller", url, point]
    return subprocess.run(command, cwd=ROOT, timeout=RUN_SECONDS, env=dict(os.environ), check=False).returncode


def stored(collector: str, name: str) -> Counter[str]:
    body = {"dataset_name": name, "project_name": "llm-twin", "steam_limit": 2000}
    answer = httpx.post(f"{collector}/v1/private/datasets/items/stream", json=body, trust_env=False, timeout=30)
    lines = [json.loads(line) for line in answer.raise_for_status().text.splitlines() if line.strip()]
    return Counter(line["data"]["metadata"]["trace_id"] for line in lines)


def waiting(url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_killed_at_every_point_it_stores_each_sample_once(queue: tuple[str, str], dataset: str, collector: str) -> None:
    url, dead = queue
    accepted: list[str] = []
    for number in range(SAMPLES):
        sample: dict[str, Any] = {
            "trace_id": uuid7(),
            "query": f"question {number}",
            "answer": f"answer {number}",
            "context": [],
            "metadata": {"stage": "t"},
        }
        accepted.append(sample["trace_id"])
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(sample))
    codes = {point: poll(url, point) for point in POINTS}
    assert codes == dict.fromkeys(POINTS, -signal.SIGKILL)
    assert waiting(url) > 0
    assert poll(url, "none") == 0
    assert stored(collector, dataset) == Counter(accepted)
    assert (waiting(url), waiting(dead)) == (0, 0)
