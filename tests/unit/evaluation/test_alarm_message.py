from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from services.evaluation.alerts.alarm_message import AlertContext, build_held_back, build_message, parse_alarm

ALARM = {
    "AlarmName": "twin-dev-groundedness",
    "AlarmDescription": "Answers are not supported by their <context> (runbook: answer-quality)",
    "NewStateValue": "ALARM",
    "OldStateValue": "OK",
    "NewStateReason": "Threshold Crossed: 1 datapoint [0.31 (21/11/26 03:00:00)] was less than the threshold (0.6).",
    "StateChangeTime": "2026-11-21T03:00:12.345+0000",
    "Trigger": {"MetricName": "Groundedness", "ComparisonOperator": "LessThanThreshold", "Threshold": 0.6},
}

CONTEXT = AlertContext(
    stage="dev",
    opik_page_url="https://opik.example/experiments",
    runbook_url="https://docs.example/runbook",
    trace_url="https://opik.example/traces/{trace_id}",
    last_deployment="twin-dev-llm at 2026-11-21 02:41 UTC, UPDATE_COMPLETE, release 1.4",
    worst=[{"trace_id": f"t{number}", "groundedness": 0.1 * number} for number in range(4)],
)


def build(alarm: dict[str, Any] | str, subject: str | None = None) -> dict[str, Any]:
    text = alarm if isinstance(alarm, str) else json.dumps(alarm)
    return build_message(text, subject, parse_alarm(text), CONTEXT)


def fields(message: dict[str, Any]) -> dict[str, str]:
    texts = [field["text"] for field in message["blocks"][1]["fields"]]
    return {name.strip("*"): value for name, value in (text.split("\n", 1) for text in texts)}


def test_alarm_says_what_since_when_how_bad_and_where_to_look() -> None:
    message = build(ALARM)
    assert message["text"].endswith("[dev] Alarm: Answers are not supported by their &lt;context&gt;")
    assert fields(message) == {
        "Since": "2026-11-21 03:00 UTC",
        "Value and threshold": "Groundedness 0.31, alarm when &lt; 0.6",
        "Last deploy": "twin-dev-llm at 2026-11-21 02:41 UTC, UPDATE_COMPLETE, release 1.4",
        "Alarm": "twin-dev-groundedness",
    }
    assert message["blocks"][2]["text"]["text"] == (
        "*Worst answers of the last evaluation*\n"
        "• <https://opik.example/traces/t0|t0>  groundedness 0.00\n"
        "• <https://opik.example/traces/t1|t1>  groundedness 0.10\n"
        "• <https://opik.example/traces/t2|t2>  groundedness 0.20"
    )
    footer = message["blocks"][-1]["elements"][0]["text"]
    assert "<https://opik.example/experiments|Opik>" in footer
    assert "<https://docs.example/runbook#answer-quality|Runbook: what to do>" in footer


def test_traces_are_linked_where_they_explain_something() -> None:
    def shows_traces(**changes: Any) -> bool:
        return "opik.example/traces/t0" in json.dumps(build({**ALARM, **changes}))

    assert shows_traces()
    assert shows_traces(AlarmDescription="Service degraded (runbook: service-degraded)")
    assert not shows_traces(AlarmDescription="A queue is late (runbook: queue-age)")
    assert not shows_traces(NewStateValue="OK")


def test_alerts_that_are_held_back_are_announced_once_with_a_place_to_look() -> None:
    message = build_held_back(CONTEXT, 30)
    assert message["text"].endswith("[dev] Alerts are held back")
    assert "More than 30 alerts" in message["blocks"][1]["text"]["text"]


def test_recovery_and_missing_data_read_differently() -> None:
    recovered = build({**ALARM, "NewStateValue": "OK"})
    silent = build({**ALARM, "NewStateReason": "no datapoints were received", "NewStateValue": "INSUFFICIENT_DATA"})
    assert "Recovered: Answers are not supported" in recovered["text"]
    assert "No data: Answers are not supported" in silent["text"]
    assert fields(silent)["Value and threshold"] == "Groundedness no datapoint, alarm when &lt; 0.6"


def test_a_composite_alarm_names_its_cause_and_has_no_value() -> None:
    child = {"Arn": "arn:aws:cloudwatch:eu-west-1:1:alarm:twin-dev-late", "State": {"Value": "ALARM"}}
    alarm = {"AlarmName": "any", "NewStateValue": "ALARM", "StateChangeTime": "soon", "AlarmRule": "ALARM(x)"}
    message = build({**alarm, "TriggeringChildren": [child]})
    assert message["text"].endswith("Alarm: any")
    assert fields(message)["Because of"] == "twin-dev-late"
    assert fields(message)["Since"] == "soon"
    assert not {"Value and threshold"} & set(fields(message))
    assert "Because of" not in fields(build({**alarm, "TriggeringChildren": []}))


def test_without_a_page_the_runbook_is_named_as_the_file_that_it_is() -> None:
    text = json.dumps(ALARM)
    message = build_message(text, None, parse_alarm(text), replace(CONTEXT, runbook_url=""))
    footer = message["blocks"][-1]["elements"][0]["text"]
    assert footer.startswith("What to do: docs/runbook.md#answer-quality")
    assert "<|" not in footer


def test_notice_that_is_no_alarm_is_passed_on_and_cannot_mention_a_channel() -> None:
    message = build("Budget <!channel> exceeded", "AWS Budgets")
    assert message["text"] == "[dev] AWS Budgets"
    assert message["blocks"][1]["text"]["text"] == "Budget &lt;!channel&gt; exceeded"


def test_slack_limits_are_kept() -> None:
    message = build({**ALARM, "AlarmName": "n" * 300, "AlarmDescription": "d" * 5000, "NewStateReason": "r" * 5000})
    header, section, *_, reason, _ = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert all(len(field["text"]) <= 2000 for field in section["fields"])
    assert len(reason["text"]["text"]) <= 3000
