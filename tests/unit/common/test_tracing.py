"""Traces and their ids; log lines."""

from __future__ import annotations

import io
import json
import logging
import time
import uuid

import pytest

from services.common.ids import uuid7
from services.common.logging import JsonFormatter, request_id_var
from services.common.token_bucket import TokenBucket
from services.common.tracing import Trace


def test_ids_are_version_7_and_ordered_in_time() -> None:
    first = uuid7()
    time.sleep(0.002)
    second = uuid7()
    assert uuid.UUID(first).version == uuid.UUID(second).version == 7
    assert uuid.UUID(first).variant == uuid.RFC_4122
    assert first < second
    assert abs((uuid.UUID(first).int >> 80) / 1000 - time.time()) < 5


def test_an_error_ends_its_span_and_every_open_one() -> None:
    trace = Trace("generate")
    root = trace.span("generate")
    with root.child("fine"):
        pass
    with pytest.raises(ValueError, match="bad"), root.child("broken"):
        raise ValueError("bad")
    trace.end(RuntimeError("gone"))
    errors = {span.name: (span.error or {}).get("exception_type") for span in trace.spans}
    assert errors == {"generate": "RuntimeError", "fine": None, "broken": "ValueError"}
    assert all(span.end_time for span in trace.spans)


def test_bucket_lets_the_rate_through() -> None:
    now = [0.0]
    bucket = TokenBucket(2, clock=lambda: now[0])
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] += 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    assert not TokenBucket(0).take()


def test_log_lines_are_json_with_ids_and_extras() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test-json")
    logger.addHandler(handler)
    logger.propagate = False
    token = request_id_var.set("r-1")
    logger.warning("line\n%s", "two", extra={"status": 503})
    request_id_var.reset(token)
    logger.removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found["message"] == "line\ntwo" and found["status"] == 503
    assert found["request_id"] == "r-1" and found["level"] == "WARNING"
