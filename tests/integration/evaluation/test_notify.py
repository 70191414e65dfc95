"""An alarm's way from SNS to the webhook."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from services.evaluation import notify, slack
from services.evaluation.secret_values import SecretUnavailableError

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
