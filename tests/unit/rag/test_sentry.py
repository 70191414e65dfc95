"""What is left of an event; that one arrives is tested on the running service."""

from __future__ import annotations

import json
from contextvars import copy_context
from typing import Any

from services.common.logging import request_id_var, trace_id_var
from services.rag.telemetry.sentry import scrub

SECRET = "the-prompt"


def _scrub_in_a_request(event: Any) -> Any:
    request_id_var.set("req")
    trace_id_var.set("tra")
    return scrub(event)


def test_known_fields_stay_and_whatever_else_there_is_goes() -> None:
    event: Any = {
        "event_id": "1",
        "level": "error",
        "platform": "python",
        "release": "r1",
        "request": {"data": SECRET, "headers": {"Authorization": SECRET}},
        "user": {"ip_address": SECRET},
        "extra": {"prompt": SECRET},
        "breadcrumbs": {"values": [{"message": SECRET}]},
        "modules": {SECRET: "1"},
        "a_field_of_next_year": SECRET,
        "logentry": {"message": "unexpected error of %s", "params": [SECRET], "formatted": SECRET},
        "exception": {
            "values": [
                {
                    "type": "KeyError",
                    "module": "builtins",
                    "value": SECRET,
                    "mechanism": {"data": SECRET},
                    "stacktrace": {
                        "frames": [{"function": "f", "lineno": 3, "vars": {"q": SECRET}, "context_line": SECRET}]
                    },
                }
            ]
        },
    }
    kept: Any = copy_context().run(_scrub_in_a_request, event)
    assert SECRET not in json.dumps(kept)
    assert (kept["event_id"], kept["level"], kept["release"]) == ("1", "error", "r1")
    assert kept["logentry"] == {"message": "unexpected error of %s"}
    (error,) = kept["exception"]["values"]
    assert error == {
        "type": "KeyError",
        "module": "builtins",
        "stacktrace": {"frames": [{"function": "f", "lineno": 3}]},
    }
    assert kept["tags"] == {"request_id": "req", "trace_id": "tra"}


def test_an_event_without_a_stack_or_an_exception_is_kept() -> None:
    assert set(scrub({"level": "error"})) == {"level", "tags"}
    kept: Any = scrub({"exception": {"values": [{"type": "X", "stacktrace": None}]}})
    assert kept["exception"]["values"] == [{"type": "X", "module": None, "stacktrace": {"frames": []}}]
