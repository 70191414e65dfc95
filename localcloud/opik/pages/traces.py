"""Pages `/` and `/traces/{id}`: the list with its filter, and one trace with its waterfall."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from localcloud.opik import trace_search
from localcloud.opik.database import Document
from localcloud.opik.facts import model_of
from localcloud.opik.pages import parameters
from localcloud.opik.pages.rendering import fields, not_found, render
from localcloud.opik.pages.waterfall import ticks, waterfall
from localcloud.opik.store import Store
from localcloud.opik.times import duration_ms
from localcloud.opik.trace_search import TraceQuery

PAGE_SIZE = 50
SPAN_LIMIT = 500


def router(store: Store) -> APIRouter:
    """Routes of the pages over `store`."""
    routes = APIRouter()

    @routes.get("/")
    def traces(request: Request) -> HTMLResponse:
        """One page of the traces that match the filter."""
        query = _query(request)
        number = parameters.page_number(request)
        ids, total = trace_search.search(store.database, query, (number - 1) * PAGE_SIZE, PAGE_SIZE)
        paging = parameters.paging(request, total, PAGE_SIZE)
        if paging.number != number:
            ids, _ = trace_search.search(store.database, query, paging.offset, PAGE_SIZE)
        shown = {name: value for name, value in asdict(query).items() if value not in ("", None)}
        if query.order == "newest":
            del shown["order"]
        return render(
            "traces.html",
            section="traces",
            title="Traces",
            traces=_rows(store, ids),
            paging=paging,
            query=query,
            shown=shown,
            names=trace_search.names(store.database),
            scores=trace_search.score_names(store.database),
            projects=sorted((p["name"], p["id"]) for p in store.projects.all()),
        )

    @routes.get("/traces/{id}")
    def trace(id: str) -> HTMLResponse:
        """One trace with its spans, at most `SPAN_LIMIT`; 404 without one."""
        found = store.traces.get(id)
        if found is None:
            return not_found("traces", "Trace")
        view = store.trace_view(found)
        spans = [store.span_view(span) for span in store.spans.children(id, limit=SPAN_LIMIT, newest_first=False)]
        rows = waterfall(spans, found)
        return render(
            "trace.html",
            section="traces",
            title=f"Trace {view.get('name') or id}",
            trace={**view, "model": model_of(view)},
            rows=rows,
            ticks=ticks(rows, view["duration"]),
            span_limit=SPAN_LIMIT,
            further=fields(view, "metadata", "usage"),
            experiments=_experiments(store, id),
            item=store.items.get(id),
        )

    return routes


def _query(request: Request) -> TraceQuery:
    query = TraceQuery(
        text=parameters.text(request, "text"),
        state=parameters.choice(request, "state", trace_search.STATES, ""),
        name=parameters.text(request, "name"),
        project=parameters.text(request, "project"),
        tag=parameters.text(request, "tag"),
        day=parameters.text(request, "day"),
        slower_ms=parameters.number(request, "slower_ms"),
        score=parameters.text(request, "score"),
        at_least=parameters.number(request, "at_least"),
        at_most=parameters.number(request, "at_most"),
        order=parameters.choice(request, "order", trace_search.ORDERS, "newest"),
    )
    if query.score:
        return query
    order = "newest" if query.order in trace_search.BY_SCORE else query.order
    return replace(query, at_least=None, at_most=None, order=order)


def _rows(store: Store, ids: list[str]) -> list[Document]:
    marks = ",".join("?" * len(ids))
    bodies = store.database.rows(f"SELECT id, body FROM traces WHERE id IN ({marks})", ids)  # noqa: S608 - marks only
    spans = dict(
        store.database.rows(f"SELECT parent, COUNT(*) FROM spans WHERE parent IN ({marks}) GROUP BY parent", ids)  # noqa: S608
    )
    scores: dict[str, list[tuple[str, Any]]] = {}
    owners = [f"trace:{id}" for id in ids]
    named = f"SELECT parent, name, value FROM scores WHERE parent IN ({marks}) ORDER BY parent, name"  # noqa: S608
    for owner, name, value in store.database.rows(named, owners):
        scores.setdefault(owner.removeprefix("trace:"), []).append((name, value))
    known = {id: json.loads(body) for id, body in bodies}
    return [
        {
            "id": id,
            "name": trace.get("name"),
            "start_time": trace.get("start_time"),
            "input": trace.get("input"),
            "failed": bool(trace.get("error_info")),
            "ms": duration_ms(trace),
            "model": model_of(trace),
            "tags": trace.get("tags") or [],
            "spans": spans.get(id, 0),
            "scores": scores.get(id, []),
        }
        for id in ids
        if (trace := known.get(id)) is not None
    ]


def _experiments(store: Store, trace: str) -> list[Document]:
    """Experiments of which this trace is an item."""
    rows = store.database.rows("SELECT DISTINCT parent FROM experiment_items WHERE trace=?", (trace,))
    return [found for (id,) in rows if (found := store.experiments.get(id))]
