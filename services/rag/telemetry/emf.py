"""CloudWatch's embedded metric format: one JSON line on standard output from which CloudWatch makes metrics.

Format: "Specification: Embedded metric format" in the Amazon CloudWatch User Guide. The only dimension is the stage,
since every combination of dimensions is a paid metric; route, status and ids are fields for log queries.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TextIO

from services.rag.telemetry.metrics import Measured, is_server_error

_UNITS = {
    "Requests": "Count",
    "ServerErrors": "Count",
    "RequestTime": "Milliseconds",
    "TimeToFirstToken": "Milliseconds",
    "TimePerOutputToken": "Milliseconds",
    "InputTokens": "Count",
    "OutputTokens": "Count",
    "RetrievalTime": "Milliseconds",
    "RerankTime": "Milliseconds",
    "HeldRequests": "Count",
    "ShedRequests": "Count",
}


class EmfWriter:
    """Writes one line per request."""

    def __init__(self, namespace: str, stage: str, stream: TextIO | None = None) -> None:
        """Keep the parts; without a stream, lines go to standard output as it is when a line is written."""
        self._namespace = namespace
        self._stage = stage
        self._stream = stream

    def request(
        self,
        *,
        route: str,
        status: int,
        failed: tuple[int, str] | None = None,
        seconds: float,
        measured: Measured | None,
        held: int,
        shed: int,
        request_id: str,
        trace_id: str,
    ) -> None:
        """Write the line of a request that ended.

        Args:
            route: the path's pattern.
            status: HTTP status of the response.
            failed: status and code of an error that came after the HTTP status was sent; None without one.
            seconds: request received to last byte.
            measured: measurements of the question; None for requests without one.
            held: requests that wait now.
            shed: requests refused since the last line.
            request_id: of the request.
            trace_id: of the question's trace, or empty.
        """
        found = measured or Measured()
        values = {
            "Requests": 1,
            "ServerErrors": int(is_server_error(status, failed[0] if failed else None)),
            "RequestTime": _milliseconds(seconds),
            "TimeToFirstToken": _milliseconds(found.ttft),
            "TimePerOutputToken": _milliseconds(found.tpot),
            "InputTokens": found.prompt_tokens,
            "OutputTokens": found.completion_tokens,
            "RetrievalTime": _milliseconds(found.retrieval),
            "RerankTime": _milliseconds(found.rerank),
            "HeldRequests": held,
            "ShedRequests": shed,
        }
        values = {name: value for name, value in values.items() if value is not None}
        directive = {
            "Namespace": self._namespace,
            "Dimensions": [["Stage"]],
            "Metrics": [{"Name": name, "Unit": _UNITS[name]} for name in values],
        }
        line = {
            "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
            "Stage": self._stage,
            "Route": route,
            "Status": status,
            **({"ErrorStatus": failed[0], "ErrorCode": failed[1]} if failed else {}),
            "request_id": request_id,
            "trace_id": trace_id,
            **values,
        }
        stream = self._stream or sys.stdout
        stream.write(json.dumps(line) + "\n")
        stream.flush()


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
