"""CloudWatch's embedded metric format: one JSON line on standard output from which CloudWatch makes metrics.

Format: "Specification: Embedded metric format" in the Amazon CloudWatch User Guide. The only dimension is the stage,
since every combination of dimensions is a paid metric; route, status and ids are fields for log queries.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TextIO

from services.rag.telemetry.metrics import Measured

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
SERVER_ERROR = 500


class EmfWriter:
    """Writes one line per request."""

    def __init__(self, namespace: str, stage: str, stream: TextIO | None = None) -> None:
        """Prepare.

        Args:
            namespace: CloudWatch namespace.
            stage: value of the dimension `Stage`.
            stream: where lines go; None means standard output as it is when a line is written.
        """
        self._namespace = namespace
        self._stage = stage
        self._stream = stream

    def request(
        self,
        *,
        route: str,
        status: int,
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
            "ServerErrors": int(status >= SERVER_ERROR),
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
            "request_id": request_id,
            "trace_id": trace_id,
            **values,
        }
        stream = self._stream or sys.stdout
        stream.write(json.dumps(line) + "\n")
        stream.flush()


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
