"""Rules of Lambda."""

from __future__ import annotations

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

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


CHECKS: Checks = {
    "batch-window": _gathers_without_window,
}
