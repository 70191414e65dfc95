"""Traces, spans and their feedback scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter, Response

from localcloud.opik.database import Collection, Document, new_id
from localcloud.opik.filters import matches, parse
from localcloud.opik.http import PRIVATE, Body, PageNumber, created, json_lines, no_content, or_404, page
from localcloud.opik.store import Store

SEARCH_LIMIT = 500
CHUNK = 500


def router(store: Store) -> APIRouter:
    """Routes of this module over `store`."""
    routes = APIRouter(prefix=PRIVATE)
    for kind, add in (("traces", store.add_traces), ("spans", store.add_spans)):
        _add_writes(routes, kind, add)
    for kind in ("trace", "span"):
        _add_scores(routes, kind, store)
    _add_reads(routes, store)
    return routes


def _add_writes(routes: APIRouter, kind: str, add: Callable[[list[Document]], None]) -> None:
    @routes.post(f"/{kind}/batch")
    def batch(body: Body) -> Response:
        """Insert or complete all documents of the body: 204."""
        add(body[kind])
        return no_content()

    @routes.post(f"/{kind}")
    def one(body: Body) -> Response:
        """Insert one document: 201. Without an id it gets one."""
        body.setdefault("id", new_id())
        add([body])
        return created(kind, body["id"])

    @routes.patch(f"/{kind}/{{id}}")
    def update(id: str, body: Body) -> Response:
        """Set fields of one document: 204."""
        add([{**body, "id": id}])
        return no_content()


def _add_scores(routes: APIRouter, kind: str, store: Store) -> None:
    @routes.put(f"/{kind}s/feedback-scores")
    def batch(body: Body) -> Response:
        """Set scores of several traces or spans: 204."""
        store.add_scores(kind, body["scores"])
        return no_content()

    @routes.put(f"/{kind}s/{{id}}/feedback-scores")
    def one(id: str, body: Body) -> Response:
        """Set one score of a trace or span: 204."""
        store.add_scores(kind, [{**body, "id": id}])
        return no_content()

    @routes.post(f"/{kind}s/{{id}}/feedback-scores/delete")
    def delete(id: str, body: Body) -> Response:
        """Delete the score of that name: 204, also without one."""
        store.scores.delete(f"{kind}:{id}:{body['name']}")
        return no_content()


def _add_reads(routes: APIRouter, store: Store) -> None:
    @routes.put("/traces/threads/feedback-scores")
    def thread_scores(body: Body) -> Response:
        """Set scores of threads: 204."""
        store.add_scores("thread", [{**score, "id": score["thread_id"]} for score in body["scores"]])
        return no_content()

    @routes.post("/traces/search")
    def search_traces(body: Body) -> Response:
        """Traces of a project that match the filters, newest first, one JSON document per line."""
        project = store.project(body.get("project_name"), body.get("project_id"))["id"]
        documents = _newest(store.traces, project, body.get("last_retrieved_id"))
        return json_lines(_matching((store.trace_view(trace) for trace in documents), body))

    @routes.post("/spans/search")
    def search_spans(body: Body) -> Response:
        """Spans of a trace or project that match the filters, newest first, one JSON document per line."""
        if body.get("trace_id"):
            documents: Iterable[Document] = store.spans.children(body["trace_id"], before=body.get("last_retrieved_id"))
        else:
            project = store.project(body.get("project_name"), body.get("project_id"))["id"]
            last = body.get("last_retrieved_id")
            documents = [s for s in reversed(store.spans.by_key(project)) if not last or s["id"] < last]
        return json_lines(_matching((store.span_view(span) for span in documents), body))

    @routes.post("/traces/delete")
    def delete_traces(body: Body) -> Response:
        """Delete traces by id, with spans and scores: 204; unknown ids are ignored."""
        store.delete_traces(body.get("ids", []))
        return no_content()

    @routes.get("/traces/{id}")
    def get_trace(id: str) -> dict[str, Any]:
        """The trace with this id, with totals of its spans; 404 without one."""
        return store.trace_view(or_404(store.traces.get(id), "Trace"))

    @routes.get("/spans/{id}")
    def get_span(id: str) -> dict[str, Any]:
        """The span with this id; 404 without one."""
        return store.span_view(or_404(store.spans.get(id), "Span"))

    @routes.get("/traces")
    def list_traces(
        project_name: str | None = None, project_id: str | None = None, page_number: PageNumber = 1, size: int = 10
    ) -> dict[str, Any]:
        """One page of a project's traces, newest first."""
        project = store.project(project_name, project_id)["id"]
        return page([store.trace_view(t) for t in store.traces.children(project)], page_number, size)


def _newest(collection: Collection, parent: str, last: str | None) -> Iterable[Document]:
    """Children of `parent`, newest first, read in chunks, since a search seldom needs all of them."""
    while True:
        chunk = collection.children(parent, before=last, limit=CHUNK)
        yield from chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1]["id"]


def _matching(documents: Iterable[Document], body: Document) -> list[Document]:
    filters, limit = parse(body.get("filters")), int(body.get("limit") or SEARCH_LIMIT)
    kept: list[Document] = []
    for document in documents:
        if len(kept) == limit:
            break
        if matches(document, filters):
            kept.append(document)
    return kept
