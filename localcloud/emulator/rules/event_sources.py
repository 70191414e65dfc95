"""Rules of Lambda's mappings from queues to functions."""

from __future__ import annotations

from ministack.services import lambda_svc, sqs

from localcloud.emulator.rules.rule import Call, Change, Checks, Values


def _function_name(called: str) -> str:
    """The name in an ARN or a name, without a version or alias."""
    return (called.partition(":function:")[2] or called).partition(":")[0]


def _too_short(request: Call | Change) -> Values | None:
    """Seconds of a queue that shows a message again while its function may still work on it."""
    if isinstance(request, Change) and request.action == "delete":
        return None
    wanted = request.parameters if isinstance(request, Call) else request.after
    source, called = str(wanted.get("EventSourceArn")), str(wanted.get("FunctionName"))
    queue = sqs._queues.get(sqs._queue_name_to_url.get(source.rpartition(":")[2]))
    function = lambda_svc._functions.get(_function_name(called))
    if ":sqs:" not in source or queue is None or function is None:
        return None
    visible, timeout = int(queue["attributes"].get("VisibilityTimeout", 30)), int(function["config"].get("Timeout", 3))
    return {"visible": visible, "timeout": timeout} if visible < timeout else None


def _exists(request: Call | Change) -> Values | None:
    """A queue or stream and a function that are mapped already."""
    if isinstance(request, Change) and request.action != "create":
        return None
    wanted = request.parameters if isinstance(request, Call) else request.after
    source, function = str(wanted.get("EventSourceArn")), _function_name(str(wanted.get("FunctionName")))
    for number, mapping in lambda_svc._esms.items():
        if (mapping.get("EventSourceArn"), _function_name(str(mapping.get("FunctionArn")))) == (source, function):
            return {"source": source, "function": function, "number": number}
    return None


CHECKS: Checks = {
    "mapping-exists": _exists,
    "queue-visibility": _too_short,
}
