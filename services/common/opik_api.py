"""Client for the calls of Opik's REST API that a service makes during requests.

The SDK needs 21-38 ms of processor time per trace, and its threads take the interpreter from the event loop for
milliseconds at a time; one JSON body for a second's worth of traces needs a hundredth of that. Paths and fields are
those of Opik's REST API reference, which the SDK's generated client uses as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from services.common.anonymise import HIDDEN, Anonymiser
from services.common.ids import marked_uuid7
from services.common.logging import concern_logger
from services.common.tls import authorities
from services.common.trace_owners import KEY_NAME, OTHER_KEY, TraceOwners

if TYPE_CHECKING:
    from services.common.tracing import Span, Trace

security_logger = concern_logger("security")

CONNECT_TIMEOUT_SECONDS = 3.0
TIMEOUT_SECONDS = 8.0
FEEDBACK_TIMEOUT_SECONDS = 4.0
MAX_SPANS = 500
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
        self.owners = TraceOwners(self.find_owner)
        """Whose traces are whose."""
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/private",
            headers={"Comet-Workspace": workspace, "Content-Type": "application/json"},
            auth=auth,
            verify=authorities(),
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds)),
        )

    def encode(self, trace: Trace) -> bytes:
        """A finished trace for `write`, anonymised: three lines of JSON.

        The first one is empty for a trace of this service. For a caller's, it is the claim to it, and the second line
        is a trace of its own to be written instead if the claim fails. The third one has the spans.

        Raises:
            TypeError: a value in it cannot be JSON.
        """
        claim, own = b"", trace
        if trace.continued:
            claim = _json({"trace_id": trace.id, "parent_span_id": trace.parent_span_id, KEY_NAME: trace.owner})
            own = replace(trace, id=marked_uuid7(), metadata={**trace.metadata, "refused_trace_id": trace.id})
        spans = b",".join(_json(self._span(span)) for span in trace.spans)
        return b"\n".join((claim, _json(self._trace(own)), spans))

    def write(self, encoded: Sequence[bytes]) -> None:
        """Write encoded traces with their spans; written again, they replace themselves.

        Steps in the trace of another key are written as a trace of their own.

        Raises:
            httpx.HTTPError: Opik does not answer, or refused them.
        """
        own, spans = zip(*(self._parts(each) for each in encoded), strict=True)
        for path, name, parts in (("/traces/batch", b"traces", own), ("/spans/batch", b"spans", spans)):
            if present := [part for part in parts if part]:
                self._send("POST", path, b'{"%s":[%s]}' % (name, b",".join(present)))

    def _parts(self, encoded: bytes) -> tuple[bytes, bytes]:
        """The trace to be written, empty for a caller's, and the spans."""
        claim, own, spans = encoded.split(b"\n", 2)  # orjson writes no line breaks
        if not claim:
            return own, spans
        claimed = orjson.loads(claim)
        try:
            granted = self.owners.claim(claimed["trace_id"], claimed[KEY_NAME])
        except httpx.HTTPStatusError:
            # It cannot be asked, or fails: writing into what may be another key's is the one thing not to do.
            granted = False
        if granted:
            return b"", spans
        names = {"refused_trace_id": claimed["trace_id"], "key_name": claimed[KEY_NAME]}
        security_logger.warning(OTHER_KEY, extra=names)
        return own, _moved(spans, claimed["parent_span_id"], orjson.loads(own)["id"])

    def find_owner(self, trace_id: str) -> str | None:
        """Name of the API key that a trace belongs to; None for a trace without one, or no trace.

        Raises:
            httpx.HTTPError: Opik does not answer.
        """
        if name := ((self.read_trace(trace_id) or {}).get("metadata") or {}).get(KEY_NAME):
            return str(name)
        asked = {"project_name": self._project, "trace_id": trace_id, "limit": MAX_SPANS, "truncate": True}
        answer = self._http.post("/spans/search", content=_json(asked), timeout=FEEDBACK_TIMEOUT_SECONDS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None  # no project yet
        answer.raise_for_status()
        spans = sorted(map(orjson.loads, filter(None, answer.content.split(b"\n"))), key=lambda span: str(span["id"]))
        names = ((span.get("metadata") or {}).get(KEY_NAME) for span in spans)
        return next((str(name) for name in names if name), None)

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
        # The owner decides who may write: two names must not become one.
        kept = {KEY_NAME: metadata[KEY_NAME]} if KEY_NAME in metadata else {}
        return {**self._anonymiser.value(metadata), **kept}

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


def _moved(spans: bytes, parent_id: str | None, trace_id: str) -> bytes:
    """Encoded spans of one trace in another, below no foreign span."""
    moved = []
    for span in orjson.loads(b"[%s]" % spans):
        if parent_id is not None and span.get("parent_span_id") == parent_id:
            del span["parent_span_id"]
        moved.append(_json({**span, "trace_id": trace_id}))
    return b",".join(moved)


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _json(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, default=str, option=_JSON_OPTIONS)
