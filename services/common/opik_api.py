"""Client for the calls of Opik's REST API that a service makes during requests.

The SDK needs 21-38 ms of processor time per trace, and its threads take the interpreter from the event loop for
milliseconds at a time; one JSON body for a second's worth of traces needs a hundredth of that. Paths and fields are
those of Opik's REST API reference, which the SDK's generated client uses as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from services.common.anonymise import HIDDEN, Anonymiser
from services.common.tls import authorities

if TYPE_CHECKING:
    from services.common.tracing import Span, Trace

CONNECT_TIMEOUT_SECONDS = 3.0
TIMEOUT_SECONDS = 8.0
FEEDBACK_TIMEOUT_SECONDS = 4.0
CONTENT_METADATA = frozenset({"prompt_template_variables", "reason"})
"""Metadata with text of a caller or a model."""
_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class OpikApi:
    """One project of one workspace; blocking, safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        project_name: str,
        workspace: str = "default",
        auth: httpx.Auth | None = None,
        anonymiser: Anonymiser | None = None,
        content: bool = True,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Build the client; connects on first use.

        Args:
            url: address of the API, which ends in `/api`.
            project_name: where traces go.
            workspace: of the project.
            auth: adds the key to every call; None for a server without keys.
            anonymiser: applied to everything that is sent; None sends it unchanged.
            content: False sends no questions, prompts, documents and answers.
            timeout_seconds: longest wait for an answer to `write`.
        """
        self._anonymiser = anonymiser or Anonymiser(())
        self._content = content
        self._timeout = timeout_seconds
        self._project = project_name
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/private",
            headers={"Comet-Workspace": workspace, "Content-Type": "application/json"},
            auth=auth,
            verify=authorities(),
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds)),
        )

    def encode(self, trace: Trace) -> bytes:
        """A finished trace for `write`, anonymised: its JSON, and after a line break that of its spans.

        A trace that the caller writes has only spans.

        Raises:
            TypeError: a value in it cannot be JSON.
        """
        own = b"" if trace.continued else _json(self._trace(trace))
        return own + b"\n" + b",".join(_json(self._span(span)) for span in trace.spans)

    def write(self, encoded: Sequence[bytes]) -> None:
        """Write encoded traces with their spans; written again, they replace themselves.

        Raises:
            httpx.HTTPError: Opik does not answer, or refused them.
        """
        # orjson writes no line breaks.
        own, spans = zip(*(each.split(b"\n", 1) for each in encoded), strict=True)
        for path, name, parts in (("/traces/batch", b"traces", own), ("/spans/batch", b"spans", spans)):
            if present := [part for part in parts if part]:
                self._send("POST", path, b'{"%s":[%s]}' % (name, b",".join(present)))

    def has_trace(self, trace_id: str) -> bool:
        """Whether Opik knows a trace.

        Raises:
            httpx.HTTPError: Opik does not answer.
        """
        return self.read_trace(trace_id) is not None

    def read_trace(self, trace_id: str) -> dict[str, Any] | None:
        """A trace without its spans, or None when Opik does not know it.

        Raises:
            httpx.HTTPError: Opik does not answer.
        """
        answer = self._http.get(f"/traces/{trace_id}", timeout=FEEDBACK_TIMEOUT_SECONDS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def score_trace(self, trace_id: str, name: str, value: float, reason: str | None) -> None:
        """Set a feedback score; a second one of the same name replaces the first.

        Raises:
            httpx.HTTPError: Opik does not answer, or refused it.
        """
        score = {"id": trace_id, "project_name": self._project, "name": name, "value": value, "source": "sdk"}
        given_reason = {} if reason is None else {"reason": self._anonymiser.text(reason)}
        body = _json({"scores": [{**score, **given_reason}]})
        self._send("PUT", "/traces/feedback-scores", body, FEEDBACK_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, content: bytes, timeout: float | None = None) -> None:
        self._http.request(method, path, content=content, timeout=timeout or self._timeout).raise_for_status()

    def _content_of(self, content: dict[str, Any], *, hide: bool = False) -> Any:
        """An input or output, anonymised or hidden."""
        return dict.fromkeys(content, HIDDEN) if hide or not self._content else self._anonymiser.value(content)

    def _metadata_of(self, metadata: dict[str, Any]) -> Any:
        """Metadata, anonymised or hidden."""
        if not self._content:
            metadata = {name: HIDDEN if name in CONTENT_METADATA else value for name, value in metadata.items()}
        return self._anonymiser.value(metadata)

    def _trace(self, trace: Trace) -> dict[str, Any]:
        return _present(
            id=trace.id,
            project_name=self._project,
            name=trace.name,
            start_time=trace.start_time,
            end_time=trace.end_time,
            input=self._content_of(trace.input),
            output=self._content_of(trace.output),
            metadata=self._metadata_of(trace.metadata),
            tags=trace.tags,
            error_info=self._anonymiser.value(trace.error),
            source="sdk",
        )

    def _span(self, span: Span) -> dict[str, Any]:
        hide = span.derived and self._anonymiser.value(span.trace.input) != span.trace.input
        return _present(
            id=span.id,
            project_name=self._project,
            trace_id=span.trace.id,
            parent_span_id=span.parent_id,
            name=span.name,
            type=span.kind,
            start_time=span.start_time,
            end_time=span.end_time,
            input=self._content_of(span.input, hide=hide),
            output=self._content_of(span.output, hide=hide),
            metadata=self._metadata_of(span.metadata) or None,
            tags=span.tags or None,
            model=span.model,
            provider=span.provider,
            usage=span.usage,
            total_estimated_cost=span.cost_usd,
            error_info=self._anonymiser.value(span.error),
            source="sdk",
        )


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _json(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, default=str, option=_JSON_OPTIONS)
