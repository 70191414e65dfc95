"""The background queue of samples."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from botocore.exceptions import EndpointConnectionError

from services.rag.sampling.samples import MAX_BATCH_BYTES, SampleQueue


class Sqs:
    """Takes batches while `up`."""

    def __init__(self, up: bool = True) -> None:
        self.up = threading.Event()
        if up:
            self.up.set()
        self.bodies: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.fail_once: set[str] = set()

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        if not self.up.is_set():
            raise EndpointConnectionError(endpoint_url=QueueUrl)
        failed = []
        for entry in Entries:
            body = json.loads(entry["MessageBody"])
            if body["n"] in self.fail_once:
                self.fail_once.discard(body["n"])
                failed.append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"})
            else:
                self.bodies.append(body)
        self.batches.append(len(Entries))
        return {"Successful": [], "Failed": failed}


def queue_of(client: Sqs, **options: Any) -> SampleQueue:
    queue = SampleQueue(client, "http://127.0.0.1/q", first_backoff_seconds=0.02, **options)
    queue.start()
    return queue


def wait_until_empty(queue: SampleQueue) -> None:
    deadline = time.monotonic() + 30
    while queue.waiting():
        assert time.monotonic() < deadline, f"{queue.waiting()} samples still wait"
        time.sleep(0.01)


def test_an_outage_loses_nothing_even_beyond_memory() -> None:
    client = Sqs(up=False)
    queue = queue_of(client, max_in_memory=20)
    assert all(queue.offer({"n": number, "text": "ä" * 50}) for number in range(100))
    assert queue.waiting() == 100
    client.up.set()
    wait_until_empty(queue)
    assert sorted(body["n"] for body in client.bodies) == list(range(100))
    assert max(client.batches) <= 10
    assert queue.stop(1) == 0


def test_what_does_not_fit_is_refused_not_lost_silently() -> None:
    queue = queue_of(Sqs(up=False), max_in_memory=5, max_spill_bytes=200)
    accepted = [queue.offer({"n": number}) for number in range(100)]
    assert 5 < sum(accepted) < 100
    assert queue.waiting() == sum(accepted)
    assert queue.offer({"n": 0, "text": "x" * MAX_BATCH_BYTES}) is False
    assert queue.stop(0.1) == sum(accepted)


def test_single_failures_of_a_batch_are_sent_again() -> None:
    client = Sqs()
    client.fail_once = {3}  # type: ignore[arg-type]
    queue = queue_of(client)
    for number in range(6):
        queue.offer({"n": number})
    wait_until_empty(queue)
    assert sorted(body["n"] for body in client.bodies) == list(range(6))
    queue.stop(1)


def test_stop_drains_and_then_refuses() -> None:
    client = Sqs()
    queue = queue_of(client)
    for number in range(30):
        queue.offer({"n": number})
    assert queue.stop(5) == 0
    assert len(client.bodies) == 30
    assert queue.offer({"n": 1}) is False


def test_stop_does_not_wait_for_a_queue_that_is_down() -> None:
    queue = queue_of(Sqs(up=False))
    queue.offer({"n": 1})
    started = time.monotonic()
    assert queue.stop(0.3) == 1
    assert time.monotonic() - started < 10
