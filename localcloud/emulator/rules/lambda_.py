"""Rules of Lambda."""

from __future__ import annotations

from datetime import date

from localcloud.emulator.rules.rule import Call, Change, Rule, Values

LARGEST_WITHOUT_WINDOW = 10


def _gathers_without_window(request: Call | Change) -> Values | None:
    """Batches that Lambda has to gather, without a time in which it may; streams are not looked at."""
    if isinstance(request, Change) and request.action == "delete":
        return None
    wanted = request.after if isinstance(request, Change) else request.parameters
    source = wanted.get("EventSourceArn")
    if not isinstance(source, str) or ":sqs:" not in source:
        return None
    size, window = int(wanted.get("BatchSize") or 0), int(wanted.get("MaximumBatchingWindowInSeconds") or 0)
    return {} if size > LARGEST_WITHOUT_WINDOW and window < 1 else None


RULES = (
    Rule(
        name="batch-window",
        service="Lambda",
        refused="a mapping from a queue to a function gathers more than 10 messages and has no window to do so",
        code="InvalidParameterValueException",
        message="Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        source="https://github.com/aws/chalice/issues/1778",
        seen=date(2026, 11, 29),
        certainty="reported",
        applies=_gathers_without_window,
        calls=("lambda:CreateEventSourceMapping",),
        types=("AWS::Lambda::EventSourceMapping",),
    ),
)
