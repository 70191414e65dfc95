"""After a fault: which promised traces, accepted samples and accepted feedback have not arrived."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from twin.local.faults.calls import FEEDBACK, WHOLE, Call
from twin.target.opik_client import PRIVATE, OpikReader
from twin.target.stage import Stage

ARRIVAL_SECONDS = 75.0
"""Senders pause for up to 30 s after failures, and samples come over a queue and a function."""
POLL_SECONDS = 0.5
PAGE = 500


@dataclass(frozen=True)
class Owed:
    """Ids of traces: of all whole answers, of those that may be sampled, of those that accepted feedback."""

    traces: frozenset[str]
    samples: frozenset[str]
    feedback: frozenset[str]

    @classmethod
    def of(cls, calls: Iterable[Call], struck_at: float, lost_seconds: float) -> Owed:
        """What the calls are owed; answers that ended in the last `lost_seconds` before the fault are left out."""
        whole = [call for call in calls if call.seen == WHOLE]
        answers = [call for call in whole if call.kind != FEEDBACK and not _excused(call, struck_at, lost_seconds)]
        owed = frozenset(call.trace_id for call in answers)
        # Feedback on an answer whose trace may be lost is lost with it.
        rated = frozenset(call.trace_id for call in whole if call.kind == FEEDBACK) & owed
        return cls(owed, frozenset(call.trace_id for call in answers if call.sampled), rated)

    def without(self, arrived: Owed) -> Owed:
        """What is still missing."""
        return Owed(self.traces - arrived.traces, self.samples - arrived.samples, self.feedback - arrived.feedback)

    def __bool__(self) -> bool:
        return bool(self.traces or self.samples or self.feedback)


def _excused(call: Call, struck_at: float, lost_seconds: float) -> bool:
    return lost_seconds > 0 and struck_at - lost_seconds < call.ended <= struck_at + lost_seconds


def missing(stage: Stage, outputs: Mapping[str, str], owed: Owed) -> Owed:
    """What has not arrived within `ARRIVAL_SECONDS`; a sample that is still in a queue is not missing."""
    reader = OpikReader(stage, outputs["OpikProjectName"])
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while left := owed.without(_arrived(reader, outputs["DatasetName"], owed)):
        if time.monotonic() > deadline:
            waits = len(left.samples) <= _queued(stage, outputs)
            return Owed(left.traces, frozenset() if waits else left.samples, left.feedback)
        time.sleep(POLL_SECONDS)
    return left


def _arrived(reader: OpikReader, dataset: str, owed: Owed) -> Owed:
    """What Opik shows of what is owed; nothing while it does not answer."""
    traces: dict[str, dict[str, Any]] = {}
    oldest = min(owed.traces, default="")
    last = ""
    try:
        while not last or last > oldest:
            page = _page(reader, last)
            traces |= {trace["id"]: trace for trace in page}
            if len(page) < PAGE:
                break
            last = page[-1]["id"]
        rated = frozenset(key for key, trace in traces.items() if trace.get("feedback_scores"))
        return Owed(frozenset(traces), frozenset(reader.item_ids(dataset)), rated)
    except httpx.HTTPError:
        return Owed(frozenset(), frozenset(), frozenset())


def _page(reader: OpikReader, last: str) -> list[dict[str, Any]]:
    """Traces of the project, the newest first, from one on."""
    body = {"project_name": reader.project, "limit": PAGE, "truncate": True}
    response = reader.api.post(
        f"{PRIVATE}/traces/search", json={**body, **({"last_retrieved_id": last} if last else {})}
    )
    response.raise_for_status()
    return [json.loads(line) for line in response.text.splitlines() if line.strip()]


def _queued(stage: Stage, outputs: Mapping[str, str]) -> int:
    """Samples in the queue and in that of failed ones, which `twin samples redrive` sends again."""
    client, names = stage.client("sqs"), ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    urls = (outputs["SamplesQueueUrl"], outputs["SamplesDeadLetterQueueUrl"])
    found = [client.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"] for url in urls]
    return sum(int(attributes[name]) for attributes in found for name in names)
