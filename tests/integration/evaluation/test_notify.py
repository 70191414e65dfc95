"""An alarm's way from SNS to the webhook."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import httpx
import pytest

from services.evaluation.alerts import slack
from services.evaluation.alerts.announcements import Announcements, Verdict
from services.evaluation.handlers import notify
from services.evaluation.run.latest_run import remember_worst
from services.evaluation.storage.secret_values import SecretUnavailableError
from services.evaluation.storage.state import State

ALARM = {
    "AlarmName": "twin-dev-groundedness",
    "AlarmDescription": "Answers are not supported by their context",
    "NewStateValue": "ALARM",
    "NewStateReason": "Threshold Crossed: 1 datapoint [0.31 (21/11/26 03:00:00)] was less than the threshold (0.6).",
    "StateChangeTime": "2026-11-21T03:00:12.345+0000",
    "Trigger": {"MetricName": "Groundedness", "ComparisonOperator": "LessThanThreshold", "Threshold": 0.6},
}


def event(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"Records": [{"Sns": {"Subject": "ALARM", "Message": json.dumps(message)}} for message in messages]}


@pytest.fixture
def configured(
    secret: Callable[[str], str],
    state_table: str,
    set_environment: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], None]]:
    """Gives the Lambda a webhook address and a fresh process's caches."""
    monkeypatch.setattr(slack, "FIRST_PAUSE_SECONDS", 0.01)
    notify._start.cache_clear()

    def put(url: str) -> None:
        set_environment(
            STAGE="dev",
            SLACK_WEBHOOK_SECRET_ARN=secret(url),
            RUNBOOK_URL="https://docs.example/runbook",
            OPIK_PAGE_URL="https://opik.example/experiments",
            TRACE_URL="https://opik.example/traces/{trace_id}",
            STATE_TABLE_NAME=state_table,
        )

    yield put
    notify._start.cache_clear()


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[int], list[bytes]]]:
    """A webhook that answers with the given statuses one after the other, then 200."""
    statuses: list[int] = []
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output readable."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook-s3cret", statuses, bodies
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_alarm_and_recovery_arrive_at_the_sink(configured: Callable[[str], None], sink: str) -> None:
    configured(f"{sink}/slack/services/T/B/x")
    assert notify.handler(event(ALARM, {**ALARM, "NewStateValue": "OK"}), None) == {"sent": 2}
    messages = httpx.get(f"{sink}/messages").json()["messages"]
    assert [message["kind"] for message in messages] == ["slack", "slack"]
    assert "[dev] Alarm: twin-dev-groundedness" in messages[0]["json"]["text"]
    assert "[dev] Recovered: twin-dev-groundedness" in messages[1]["json"]["text"]
    page = httpx.get(sink).text
    assert "Groundedness 0.31, alarm when &lt; 0.6" in page
    assert 'href="https://docs.example/runbook"' in page


def test_passing_failures_are_retried(
    configured: Callable[[str], None], webhook: tuple[str, list[int], list[bytes]]
) -> None:
    url, statuses, bodies = webhook
    configured(url)
    statuses += [500, 429]
    assert notify.handler(event(ALARM), None) == {"sent": 1}
    assert len(bodies) == 3
    assert bodies[0] == bodies[2]


@pytest.mark.parametrize(("statuses_given", "calls"), [([404], 1), ([503] * 4, 4)])
def test_undelivered_message_raises_without_the_address(
    configured: Callable[[str], None],
    webhook: tuple[str, list[int], list[bytes]],
    caplog: pytest.LogCaptureFixture,
    statuses_given: list[int],
    calls: int,
) -> None:
    url, statuses, bodies = webhook
    configured(url)
    statuses += statuses_given
    with caplog.at_level(logging.DEBUG, logger="services"), pytest.raises(slack.NotificationError) as caught:
        notify.handler(event(ALARM), None)
    assert len(bodies) == calls
    assert f"HTTP {statuses_given[0]}" in str(caught.value)
    assert "s3cret" not in str(caught.value) + caplog.text


def test_unreachable_webhook_raises(configured: Callable[[str], None]) -> None:
    configured("http://127.0.0.1:9/hook-s3cret")
    with pytest.raises(slack.NotificationError) as caught:
        notify.handler(event(ALARM), None)
    assert "ConnectionRefusedError" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_secret_that_holds_no_address_or_does_not_exist(
    configured: Callable[[str], None], set_environment: Callable[..., None]
) -> None:
    configured("placeholder")
    with pytest.raises(slack.NotificationError, match="no http address"):
        notify.handler(event(ALARM), None)
    set_environment(SLACK_WEBHOOK_SECRET_ARN="arn:aws:secretsmanager:us-east-1:000000000000:secret:absent")
    notify._start.cache_clear()
    with pytest.raises(SecretUnavailableError, match="ResourceNotFoundException"):
        notify.handler(event(ALARM), None)


def recovered(**changes: Any) -> dict[str, Any]:
    return {**ALARM, "NewStateValue": "OK", "StateChangeTime": "2026-11-21T04:00:00.000+0000", **changes}


def titles(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["text"] for body in bodies]


def test_an_alert_is_told_once_and_its_recovery_only_after_it(
    configured: Callable[[str], None], webhook: tuple[str, list[int], list[bytes]]
) -> None:
    url, _, bodies = webhook
    configured(url)
    assert notify.handler(event(recovered()), None) == {"sent": 0}, "nobody heard of the alarm"
    assert notify.handler(event(ALARM, ALARM), None) == {"sent": 1}
    assert notify.handler(event(ALARM), None) == {"sent": 0}
    assert notify.handler(event(recovered()), None) == {"sent": 1}
    assert notify.handler(event(recovered(StateChangeTime="2026-11-21T05:00:00.000+0000")), None) == {"sent": 0}
    again = {**ALARM, "StateChangeTime": "2026-11-21T06:00:00.000+0000"}
    assert notify.handler(event(again), None) == {"sent": 1}
    assert [title.split("] ")[1].split(":")[0] for title in titles(bodies)] == ["Alarm", "Recovered", "Alarm"]


def test_an_alert_that_was_not_delivered_is_told_by_the_retry(
    configured: Callable[[str], None], webhook: tuple[str, list[int], list[bytes]]
) -> None:
    url, statuses, bodies = webhook
    configured(url)
    statuses += [404]
    both = event(ALARM, {**ALARM, "AlarmName": "second"})
    with pytest.raises(slack.NotificationError):
        notify.handler(both, None)
    assert notify.handler(both, None) == {"sent": 2}
    assert len(bodies) == 3


def test_a_retry_waits_for_a_call_that_may_still_be_sending(
    configured: Callable[[str], None],
    webhook: tuple[str, list[int], list[bytes]],
    state_table: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, _, bodies = webhook
    configured(url)
    announcements = Announcements(State(state_table), 30)
    assert announcements.decide("m", ALARM)[1] is Verdict.TELL
    with pytest.raises(slack.NotificationError, match="another call"):
        notify.handler(event(ALARM), None)
    assert bodies == []


def test_a_flood_is_announced_once_and_held_back(
    configured: Callable[[str], None],
    webhook: tuple[str, list[int], list[bytes]],
    set_environment: Callable[..., None],
) -> None:
    url, _, bodies = webhook
    configured(url)
    set_environment(MESSAGES_PER_HOUR="3")
    flood = [{**ALARM, "AlarmName": f"alarm-{number}"} for number in range(10)]
    assert notify.handler(event(*flood), None) == {"sent": 4}
    assert [title.rsplit(" ", 1)[1] for title in titles(bodies)] == ["alarm-0", "alarm-1", "alarm-2", "back"]


def test_the_message_names_the_last_deployment_and_links_the_worst_traces(
    configured: Callable[[str], None],
    webhook: tuple[str, list[int], list[bytes]],
    set_environment: Callable[..., None],
    state_table: str,
) -> None:
    url, _, bodies = webhook
    configured(url)
    cloudformation = boto3.client("cloudformation")
    template = {"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v"}}}}
    cloudformation.create_stack(StackName="twin-n-llm", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="twin-n-llm", WaiterConfig={"Delay": 1})
    try:
        set_environment(STACK_NAMES="twin-n-absent,twin-n-llm", RELEASE="1.4")
        worst = [{"trace_id": "0193", "groundedness": 0.05}]
        remember_worst(State(state_table), "r", worst)
        bad = {**ALARM, "AlarmDescription": "Answers are bad (runbook: answer-quality)"}
        assert notify.handler(event(bad), None) == {"sent": 1}
    finally:
        cloudformation.delete_stack(StackName="twin-n-llm")
    text = bodies[0].decode()
    assert re.search(r"twin-n-llm at \d{4}-\d\d-\d\d \d\d:\d\d UTC, CREATE_COMPLETE, release 1.4", text)
    assert "<https://opik.example/traces/0193|0193>" in text
    assert "<https://docs.example/runbook#answer-quality|" in text
