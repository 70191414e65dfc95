"""Reads traces and dataset items back from Opik's REST API: Comet's cloud, a self-hosted server, or the collector."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.stage import Stage, address

PRIVATE = "/v1/private"
DEFAULT_WORKSPACE = "default"
ITEM_LIMIT = 2000
"""Newest items looked at when waiting for one (the most that one call of Opik's stream returns)."""


@dataclass(frozen=True)
class Span:
    """One step of a trace; `depth` 0 is a child of the trace itself."""

    name: str
    depth: int
    duration_ms: float | None
    error: str | None


@dataclass(frozen=True)
class Trace:
    """A trace with its spans in tree order."""

    id: str
    name: str
    duration_ms: float | None
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    spans: tuple[Span, ...]


class OpikReader:
    """Opik of one stage: locally the collector, else the address in OPIK_URL_OVERRIDE with OPIK_API_KEY."""

    def __init__(self, stage: Stage, project: str) -> None:
        if stage.local is not None:
            self._page = address(stage.local, "opik")
            url, headers = f"{self._page}/api", {}
        else:
            url = os.environ.get("OPIK_URL_OVERRIDE", "https://www.comet.com/opik/api").rstrip("/")
            self._page = url.removesuffix("/api")
            headers = {
                "Authorization": os.environ.get("OPIK_API_KEY", ""),
                "Comet-Workspace": os.environ.get("OPIK_WORKSPACE", DEFAULT_WORKSPACE),
            }
        self.project = project
        self._http = httpx.Client(base_url=url, headers=headers, timeout=15, trust_env=not stage.is_local)

    @property
    def api(self) -> httpx.Client:
        """A client at the address of the API."""
        return self._http

    def page(self, trace_id: str) -> str:
        """Address of the trace's page."""
        return f"{self._page}/traces/{trace_id}"

    def wait_for(self, trace_id: str, seconds: float) -> Trace:
        """The finished trace, once the service's background sender has delivered it with all its spans.

        Raises:
            TwinError: when it has not arrived after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            trace = self._get(trace_id)
            if trace is not None and trace.duration_ms is not None and trace.spans:
                return trace
            if time.monotonic() > deadline:
                raise TwinError(f"Trace {trace_id} has not arrived at {self._http.base_url} after {seconds:.0f} s.")
            time.sleep(0.3)

    def read(self, trace_id: str) -> dict[str, Any] | None:
        """A trace as Opik's API gives it, or None when there is none.

        Raises:
            TwinError: when Opik cannot be read.
        """
        try:
            response = self._http.get(f"{PRIVATE}/traces/{trace_id}")
            if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST):
                return None
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise TwinError(f"Opik at {self._http.base_url} cannot be read: {error}.") from None
        body: dict[str, Any] = response.json()
        return body

    def wait_for_item(self, dataset: str, item_id: str, seconds: float) -> None:
        """Block until the dataset holds an item.

        Raises:
            TwinError: when it has not arrived after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while item_id not in self.item_ids(dataset):
            if time.monotonic() > deadline:
                raise TwinError(f"Sample {item_id} has not arrived in dataset {dataset} after {seconds:.0f} s.")
            time.sleep(0.5)

    def item_ids(self, dataset: str) -> set[str]:
        """Ids of a dataset's newest items, none for a dataset that does not exist.

        Raises:
            TwinError: when Opik cannot be read.
        """
        body = {"dataset_name": dataset, "steam_limit": ITEM_LIMIT}
        try:
            found = self._http.post(f"{PRIVATE}/datasets/items/stream", json=body)
            if found.status_code == httpx.codes.NOT_FOUND:
                return set()
            found.raise_for_status()
        except httpx.HTTPError as error:
            raise TwinError(f"Opik at {self._http.base_url} cannot be read: {error}.") from None
        return {json.loads(line)["id"] for line in found.text.splitlines() if line.strip()}

    def _get(self, trace_id: str) -> Trace | None:
        try:
            response = self._http.get(f"{PRIVATE}/traces/{trace_id}")
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            response.raise_for_status()
            found = self._http.post(
                f"{PRIVATE}/spans/search",
                json={"trace_id": trace_id, "project_name": self.project, "limit": 500, "truncate": True},
            )
            found.raise_for_status()
        except httpx.HTTPError as error:
            raise TwinError(f"Opik at {self._http.base_url} cannot be read: {error}.") from None
        body = response.json()
        spans = [json.loads(line) for line in found.text.splitlines() if line.strip()]
        if any(span.get("end_time") is None for span in spans):
            return None
        return Trace(
            id=trace_id,
            name=body.get("name") or "trace",
            duration_ms=_duration(body),
            tags=tuple(body.get("tags") or ()),
            metadata=body.get("metadata") or {},
            spans=tuple(_tree(spans)),
        )


def opik_reader(stage: Stage) -> OpikReader:
    """Opik, at the project that the stage's outputs name."""
    return OpikReader(stage, outputs(stage)["OpikProjectName"])


def _tree(spans: list[dict[str, Any]], parent: str | None = None, depth: int = 0) -> list[Span]:
    ids = {span["id"] for span in spans}
    level = [s for s in spans if (s.get("parent_span_id") if s.get("parent_span_id") in ids else None) == parent]
    ordered: list[Span] = []
    for span in sorted(level, key=lambda s: s["start_time"]):
        error = (span.get("error_info") or {}).get("exception_type")
        ordered.append(Span(span["name"], depth, _duration(span), error))
        ordered += _tree(spans, span["id"], depth + 1)
    return ordered


def _duration(body: dict[str, Any]) -> float | None:
    if not body.get("start_time") or not body.get("end_time"):
        return None
    start, end = (datetime.fromisoformat(body[key].replace("Z", "+00:00")) for key in ("start_time", "end_time"))
    return (end - start).total_seconds() * 1000
