"""`twin drill release`: a bad release of the LLM, noticed by monitoring, announced, and rolled back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from twin.deploy.deploy import deploy_stacks
from twin.evaluate.monitoring import evaluate, evaluate_answer
from twin.target.answer import Answer
from twin.target.cdk_environment import DRILL_ENGINE, deployment_overrides
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.progress import Progress
from twin.target.stage import Stage, address

MESSAGE_SECONDS = 60.0
SETTLE_POLL_SECONDS = 1.0
RECOVERY_SECONDS = 90.0
ALARM, RECOVERY = "Alarm:", "Recovered:"


@dataclass(frozen=True)
class Drill:
    """Result of a drill: the bad answer, the report on it, and the alarm's message."""

    bad: Answer
    report: dict[str, Any]
    message: dict[str, Any]


def bad_release(stage: Stage, question: str, ask: Callable[[Stage, str], Answer], progress: Progress) -> Drill:
    """Release an LLM that makes things up, ask, judge the answer, and wait for the message.

    The release is left in place for `roll_back`, as it would be for the person on call.

    Raises:
        TwinError: when monitoring does not notice in time.
    """
    alarm = outputs(stage)["QualityAlarmName"]
    settle_earlier_answers(stage, alarm, progress)
    seen = len(messages(stage))
    release_llm(stage, DRILL_ENGINE, progress)
    bad = ask(stage, question)
    report = evaluate_answer(stage, bad.trace_id)
    try:
        return Drill(bad, report, wait_for_message(stage, alarm, seen, MESSAGE_SECONDS))
    except TwinError as error:
        raise TwinError(f"{error} Judged {report.get('scored')} answers: {_means(report)}.") from None


def settle_earlier_answers(stage: Stage, alarm: str, progress: Progress) -> None:
    """Judge what waits, and wait until no score of before can hide the one bad answer from the alarm's mean.

    Raises:
        TwinError: the evaluation fails.
    """
    evaluate(stage)
    cloudwatch = stage.client("cloudwatch")
    (declared,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    window = timedelta(seconds=declared["Period"] * declared["EvaluationPeriods"])
    said = False
    while True:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace=declared["Namespace"],
            MetricName=declared["MetricName"],
            Dimensions=declared["Dimensions"],
            StartTime=now - window,
            EndTime=now,
            Period=declared["Period"],
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        scores, count = sum(each["Sum"] for each in points), sum(each["SampleCount"] for each in points)
        # The drill's answer scores about 0.
        if scores / (count + 1) < declared["Threshold"]:
            return
        if not said:
            progress(f"waiting up to {window.seconds} s: the alarm still counts {count:.0f} scores of before")
            said = True
        time.sleep(SETTLE_POLL_SECONDS)


def _means(report: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in (report.get("means") or {}).items()) or "no score"


def roll_back(
    stage: Stage, question: str, ask: Callable[[Stage, str], Answer], progress: Progress, *, engine: str | None = None
) -> Answer:
    """Release the LLM of before again, which is `engine` or that of the local cloud's start, and ask once more."""
    release_llm(stage, engine, progress)
    return ask(stage, question)


def recovered(stage: Stage, trace_id: str, seen: int) -> dict[str, Any]:
    """Judge an answer of the restored LLM, and wait for the message that the alarm is over.

    Args:
        stage: the stage `local`.
        trace_id: of the answer.
        seen: number of messages that were there before.

    Raises:
        TwinError: when the alarm stays on.
    """
    alarm = outputs(stage)["QualityAlarmName"]
    evaluate_answer(stage, trace_id)
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        found = [each for each in messages(stage)[seen:] if _is_of(each, RECOVERY, alarm)]
        if found:
            return dict(found[0]["json"])
        if time.monotonic() > deadline:
            raise TwinError(f"The alarm is not over after {RECOVERY_SECONDS:.0f} s.")
        # Each evaluation publishes, whereupon the emulator compares: the bad score leaves the alarm's window meanwhile.
        time.sleep(SETTLE_POLL_SECONDS)
        evaluate(stage)


def release_llm(stage: Stage, engine: str | None, progress: Progress) -> None:
    """Update the LLM stack to another engine by a real `cdk deploy`; None is that of the local cloud's start."""
    overrides = deployment_overrides(stage, engine)
    deploy_stacks(stage, overrides, progress, only=("llm",))


def messages(stage: Stage) -> list[dict[str, Any]]:
    """Every message that arrived at the local webhook sink, oldest first."""
    if stage.local is None:
        raise TwinError("The drill reads the local webhook sink: it runs in stage local only.")
    response = httpx.get(f"{address(stage.local, 'sink')}/messages", timeout=10, trust_env=False)
    response.raise_for_status()
    return list(response.json()["messages"])


def wait_for_message(stage: Stage, alarm: str, seen: int, seconds: float) -> dict[str, Any]:
    """The first message of the alarm after the `seen` messages that were there before; no recovery, no other alarm.

    Raises:
        TwinError: when none arrives in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        for message in messages(stage)[seen:]:
            if _is_of(message, ALARM, alarm):
                return dict(message["json"])
        if time.monotonic() > deadline:
            raise TwinError(f"No alarm message arrived at the webhook within {seconds:.0f} s.")
        time.sleep(0.3)


def _is_of(message: dict[str, Any], word: str, alarm: str) -> bool:
    """Whether a message is about this alarm, and says this of it."""
    fields = [field for block in message["json"].get("blocks", ()) for field in block.get("fields") or ()]
    named = f"*Alarm*\n{alarm}" in [field.get("text") for field in fields]
    return named and word in str(message["json"].get("text"))
