"""The calls of Opik's REST API that a service makes while it serves.

The SDK needs 21-38 ms of processor time per trace, and its threads take the interpreter from the event loop for
milliseconds at a time; one JSON body for a second's worth of traces needs a hundredth of that. Paths and fields are
those of Opik's REST API reference, which the SDK's generated client uses as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import httpx
import orjson

if TYPE_CHECKING:
    from services.common.tracing import Span, Trace

CONNECT_TIMEOUT_SECONDS = 3.0
TIMEOUT_SECONDS = 8.0
FEEDBACK_TIMEOUT_SECONDS = 4.0
_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class OpikApi:
    """One project of one workspace; blocking, safe to share between threads."""

    def __init__(self, url: str, *, project_name: str, workspace: str = "default", api_key: str | None = None) -> None:
        """Build the client; connects on first use.

        Args:
            url: address of the API, which ends in `/api`.
            project_name: where traces go.
            workspace: of the project.
            api_key: sent with every call when set.
        """
        self._project = project_name
        key = {"Authorization": api_key} if api_key else {}
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/private",
            headers={"Comet-Workspace": workspace, "Content-Type": "application/json", **key},
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
        )

    def write(self, traces: Sequence[Trace]) -> None:
        """Write finished traces with their spans. Written again, they replace themselves.

        Raises:
            httpx.HTTPError: Opik does not answer, or refused them.
        """
        self._send("POST", "/traces/batch", {"traces": [self._trace(trace) for trace in traces]})
        spans = [self._span(span) for trace in traces for span in trace.spans]
        if spans:
            self._send("POST", "/spans/batch", {"spans": spans})

    def has_trace(self, trace_id: str) -> bool:
        """Whether Opik knows a trace.

        Raises:
            httpx.HTTPError: Opik does not answer.
        """
        answer = self._http.get(f"/traces/{trace_id}", timeout=FEEDBACK_TIMEOUT_SECONDS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        answer.raise_for_status()
        return True

    def score_trace(self, trace_id: str, name: str, value: float, reason: str | None) -> None:
        """Set a feedback score; a second one of the same name replaces the first.

        Raises:
            httpx.HTTPError: Opik does not answer, or refused it.
        """
        score = {"id": trace_id, "project_name": self._project, "name": name, "value": value, "source": "sdk"}
        told = {} if reason is None else {"reason": reason}
        self._send("PUT", "/traces/feedback-scores", {"scores": [{**score, **told}]}, FEEDBACK_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, body: dict[str, Any], timeout: float = TIMEOUT_SECONDS) -> None:
        content = orjson.dumps(body, default=str, option=_JSON_OPTIONS)
        self._http.request(method, path, content=content, timeout=timeout).raise_for_status()

    def _trace(self, trace: Trace) -> dict[str, Any]:
        return _present(
            id=trace.id,
            project_name=self._project,
            name=trace.name,
            start_time=trace.start_time,
            end_time=trace.end_time,
            input=trace.input,
            output=trace.output,
            metadata=trace.metadata,
            tags=trace.tags,
            error_info=trace.error,
            source="sdk",
        )

    def _span(self, span: Span) -> dict[str, Any]:
        return _present(
            id=span.id,
            project_name=self._project,
            trace_id=span.trace.id,
            parent_span_id=span.parent_id,
            name=span.name,
            type=span.kind,
            start_time=span.start_time,
            end_time=span.end_time,
            input=span.input,
            output=span.output,
            metadata=span.metadata or None,
            model=span.model,
            provider=span.provider,
            usage=span.usage,
            error_info=span.error,
            source="sdk",
        )


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
