"""Rules of Lambda's mappings from queues to functions."""

from __future__ import annotations

from ministack.services import lambda_svc, sqs

from localcloud.emulator.rules.rule import Call, Change, Checks, Values


def _too_short(request: Call | Change) -> Values | None:
    """Seconds of a queue that shows a message again while its function may still work on it."""
    if isinstance(request, Change) and request.action == "delete":
        return None
    wanted = request.parameters if isinstance(request, Call) else request.after
    source, called = str(wanted.get("EventSourceArn")), str(wanted.get("FunctionName"))
    queue = sqs._queues.get(sqs._queue_name_to_url.get(source.rpartition(":")[2]))
    name = called.partition(":function:")[2] or called
    function = lambda_svc._functions.get(name.partition(":")[0])
    if ":sqs:" not in source or queue is None or function is None:
        return None
    visible, timeout = int(queue["attributes"].get("VisibilityTimeout", 30)), int(function["config"].get("Timeout", 3))
    return {"visible": visible, "timeout": timeout} if visible < timeout else None


CHECKS: Checks = {
    "queue-visibility": _too_short,
}
