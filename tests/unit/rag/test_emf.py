"""Lines in CloudWatch's embedded metric format."""

from __future__ import annotations

import io
import json
from typing import Any

from services.rag.telemetry.emf import EmfWriter
from services.rag.telemetry.metrics import Measured


def line(measured: Measured | None, **changes: Any) -> dict[str, Any]:
    stream = io.StringIO()
    values = {
        "route": "/rag",
        "status": 200,
        "seconds": 1.25,
        "held": 2,
        "shed": 3,
        "request_id": "r",
        "trace_id": "t",
    }
    EmfWriter("Twin", "dev", stream).request(measured=measured, **{**values, **changes})
    (text,) = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(text)
    return found


def test_times_are_milliseconds_and_units_say_so() -> None:
    found = line(Measured(ttft=0.2, tpot=0.0125, prompt_tokens=7, completion_tokens=9, retrieval=0.03, rerank=0.001))
    assert (found["RequestTime"], found["TimeToFirstToken"], found["TimePerOutputToken"]) == (1250, 200, 12.5)
    assert (found["RetrievalTime"], found["RerankTime"]) == (30, 1)
    assert (found["InputTokens"], found["OutputTokens"], found["HeldRequests"], found["ShedRequests"]) == (7, 9, 2, 3)
    (directive,) = found["_aws"]["CloudWatchMetrics"]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert {name for name, unit in units.items() if unit == "Milliseconds"} == {
        "RequestTime",
        "TimeToFirstToken",
        "TimePerOutputToken",
        "RetrievalTime",
        "RerankTime",
    }
    # Ids and routes as dimensions would each be a metric to pay for.
    assert directive["Dimensions"] == [["Stage"]] and found["Stage"] == "dev"


def test_what_did_not_happen_is_no_zero() -> None:
    found = line(None, status=503)
    names = {metric["Name"] for metric in found["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {"Requests", "ServerErrors", "RequestTime", "HeldRequests", "ShedRequests"}
    assert names <= found.keys() and "TimeToFirstToken" not in found
    assert (found["ServerErrors"], line(None, status=429)["ServerErrors"]) == (1, 0)


def test_lines_go_to_standard_output_as_it_is_now(capsys: Any) -> None:
    EmfWriter("Twin", "dev").request(
        route="/", status=200, seconds=0, measured=None, held=0, shed=0, request_id="", trace_id=""
    )
    assert json.loads(capsys.readouterr().out)["Requests"] == 1
