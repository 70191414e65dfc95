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

from services.common.lambda_runtime import start
from services.common.secret_values import SecretUnavailableError
from services.evaluation.alerts import slack
from services.evaluation.alerts.announcements import Announcements, Decision
from services.evaluation.alerts.slack import NotificationError
from services.evaluation.handlers.notify import Notifier, handler
from services.evaluation.run.bookkeeping import write_worst_answers
from services.evaluation.settings import NotifySettings
from services.evaluation.state import State

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


Configure = Callable[..., Notifier]


@pytest.fixture
def notifier(secret: Callable[[str], str], state_table: str, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Makes a notifier for a webhook's address, with further variables of its environment."""
    monkeypatch.setattr(slack, "FIRST_PAUSE_SECONDS", 0.01)

    def make(url: str, **variables: str) -> Notifier:
        environment = {
            "STAGE": "dev",
            "SLACK_WEBHOOK_SECRET_ARN": secret(url),
            "RUNBOOK_URL": "https://docs.example/runbook",
            "OPIK_PAGE_URL": "https://opik.example/experiments",
            "TRACE_URL": "https://opik.example/traces/{trace_id}",
            "STATE_TABLE_NAME": state_table,
            **variables,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Notifier.from_settings(start(NotifySettings))

    return make


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


def test_alarm_and_recovery_arrive_at_the_sink(notifier: Configure, sink: str) -> None:
    send = notifier(f"{sink}/slack/services/T/B/x").send
    assert send(event(ALARM, {**ALARM, "NewStateValue": "OK"})) == {"sent": 2}
    messages = httpx.get(f"{sink}/messages").json()["messages"]
    assert [message["kind"] for message in messages] == ["slack", "slack"]
    assert "[dev] Alarm: Answers are not supported by their context" in messages[0]["json"]["text"]
    assert "[dev] Recovered: Answers are not supported by their context" in messages[1]["json"]["text"]
    page = httpx.get(sink).text
    assert "Groundedness 0.31, alarm when &lt; 0.6" in page
    assert 'href="https://docs.example/runbook"' in page


def test_the_handler_builds_its_clients_from_its_environment(
    notifier: Configure, webhook: tuple[str, list[int], list[bytes]]
) -> None:
    url, _, bodies = webhook
    notifier(url)
    assert handler(event(ALARM), None) == {"sent": 1}
    assert handler(event(ALARM), None) == {"sent": 0}
    assert len(bodies) == 1


def test_passing_failures_are_retried(notifier: Configure, webhook: tuple[str, list[int], list[bytes]]) -> None:
    url, statuses, bodies = webhook
    send = notifier(url).send
    statuses += [500, 429]
    assert send(event(ALARM)) == {"sent": 1}
    assert len(bodies) == 3
    assert bodies[0] == bodies[2]


@pytest.mark.parametrize(("statuses_given", "calls"), [([404], 1), ([503] * 4, 4)])
def test_undelivered_message_raises_without_the_address(
    notifier: Configure,
    webhook: tuple[str, list[int], list[bytes]],
    caplog: pytest.LogCaptureFixture,
    statuses_given: list[int],
    calls: int,
) -> None:
    url, statuses, bodies = webhook
    send = notifier(url).send
    statuses += statuses_given
    with caplog.at_level(logging.DEBUG, logger="services"), pytest.raises(slack.NotificationError) as caught:
        send(event(ALARM))
    assert len(bodies) == calls
    assert f"HTTP {statuses_given[0]}" in str(caught.value)
    assert "s3cret" not in str(caught.value) + caplog.text


def test_unreachable_webhook_raises(notifier: Configure) -> None:
    send = notifier("http://127.0.0.1:9/hook-s3cret").send
    with pytest.raises(slack.NotificationError) as caught:
        send(event(ALARM))
    assert "ConnectionRefusedError" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_secret_that_holds_no_address_or_does_not_exist(notifier: Configure) -> None:
    with pytest.raises(slack.NotificationError, match="no http address"):
        notifier("placeholder").send(event(ALARM))
    absent = "arn:aws:secretsmanager:us-east-1:000000000000:secret:absent"
    with pytest.raises(SecretUnavailableError, match="ResourceNotFoundException"):
        notifier("placeholder", SLACK_WEBHOOK_SECRET_ARN=absent).send(event(ALARM))


def recovered(**changes: Any) -> dict[str, Any]:
    return {**ALARM, "NewStateValue": "OK", "StateChangeTime": "2026-11-21T04:00:00.000+0000", **changes}


def titles(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["text"] for body in bodies]


def test_an_alert_is_sent_once_and_its_recovery_only_after_it(
    notifier: Configure, webhook: tuple[str, list[int], list[bytes]]
) -> None:
    url, _, bodies = webhook
    send = notifier(url).send
    assert send(event(recovered())) == {"sent": 0}, "its alarm was not sent"
    assert send(event(ALARM, ALARM)) == {"sent": 1}
    assert send(event(ALARM)) == {"sent": 0}
    assert send(event(recovered())) == {"sent": 1}
    assert send(event(recovered(StateChangeTime="2026-11-21T05:00:00.000+0000"))) == {"sent": 0}
    again = {**ALARM, "StateChangeTime": "2026-11-21T06:00:00.000+0000"}
    assert send(event(again)) == {"sent": 1}
    assert [title.split("] ")[1].split(":")[0] for title in titles(bodies)] == ["Alarm", "Recovered", "Alarm"]


def test_an_alert_that_was_not_delivered_is_sent_by_the_retry(
    notifier: Configure, webhook: tuple[str, list[int], list[bytes]]
) -> None:
    url, statuses, bodies = webhook
    send = notifier(url).send
    statuses += [404]
    both = event(ALARM, {**ALARM, "AlarmName": "second"})
    with pytest.raises(slack.NotificationError):
        send(both)
    assert send(both) == {"sent": 2}
    assert len(bodies) == 3


def test_a_retry_waits_for_a_call_that_may_still_be_sending(
    notifier: Configure, webhook: tuple[str, list[int], list[bytes]], state_table: str
) -> None:
    url, _, bodies = webhook
    send = notifier(url).send
    announcements = Announcements(State(state_table), 30)
    assert announcements.decide("m", ALARM)[1] is Decision.SEND
    with pytest.raises(slack.NotificationError, match="another call"):
        send(event(ALARM))
    assert bodies == []


def test_a_flood_is_announced_once_and_held_back(
    notifier: Configure, webhook: tuple[str, list[int], list[bytes]]
) -> None:
    url, _, bodies = webhook
    send = notifier(url, MESSAGES_PER_HOUR="3").send
    flood = [{**ALARM, "AlarmName": f"a{number}", "AlarmDescription": f"alarm-{number}"} for number in range(10)]
    assert send(event(*flood)) == {"sent": 4}
    assert [title.rsplit(" ", 1)[1] for title in titles(bodies)] == ["alarm-0", "alarm-1", "alarm-2", "back"]


def test_the_message_names_the_last_deployment_and_links_the_worst_traces(
    notifier: Configure,
    webhook: tuple[str, list[int], list[bytes]],
    state_table: str,
) -> None:
    url, _, bodies = webhook
    send = notifier(url, STACK_NAMES="twin-n-absent,twin-n-llm", RELEASE="1.4").send
    cloudformation = boto3.client("cloudformation")
    template = {"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v"}}}}
    cloudformation.create_stack(StackName="twin-n-llm", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="twin-n-llm", WaiterConfig={"Delay": 1})
    try:
        worst = [{"trace_id": "0193", "groundedness": 0.05}]
        write_worst_answers(State(state_table), "r", worst)
        bad = {**ALARM, "AlarmDescription": "Answers are bad (runbook: answer-quality)"}
        assert send(event(bad)) == {"sent": 1}
    finally:
        cloudformation.delete_stack(StackName="twin-n-llm")
    text = bodies[0].decode()
    assert re.search(r"twin-n-llm at \d{4}-\d\d-\d\d \d\d:\d\d UTC, CREATE_COMPLETE, release 1.4", text)
    assert "<https://opik.example/traces/0193|0193>" in text
    assert "<https://docs.example/runbook#answer-quality|" in text


@pytest.mark.parametrize("per_hour", ["1", "2"])
def test_attempts_at_a_webhook_that_is_down_are_not_counted_towards_the_limit(
    notifier: Configure, webhook: tuple[str, list[int], list[bytes]], per_hour: str
) -> None:
    url, statuses, bodies = webhook
    send = notifier(url, MESSAGES_PER_HOUR=per_hour).send
    alarms = [{**ALARM, "AlarmName": f"twin-dev-{number}"} for number in range(4)]
    statuses.extend([500] * 4 * 2 * len(alarms))
    for _ in range(2):
        for alarm in alarms:
            with pytest.raises(NotificationError):
                send(event(alarm))
    assert statuses == []
    bodies.clear()
    # The webhook is back: as many as the limit allows, then the message that says so.
    assert [send(event(alarm))["sent"] for alarm in alarms] == [1] * (int(per_hour) + 1) + [0] * (3 - int(per_hour))
    assert b"held back" in bodies[-1]
