"""Plain pages for people: traces with their waterfall, datasets, experiments, prompts; no script."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from jinja2 import DictLoader, Environment

from localcloud.opik.database import Document
from localcloud.opik.store import Store, duration_ms
from localcloud.opik.templates import TEMPLATES

CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
RECENT = 100
VALUE_LIMIT = 4000


def router(store: Store) -> APIRouter:
    """Pages over `store`."""
    routes = APIRouter(default_response_class=HTMLResponse)
    environment = Environment(loader=DictLoader(TEMPLATES), autoescape=True)

    def render(template: str, **values: Any) -> HTMLResponse:
        html = environment.get_template(template).render(**values)
        return HTMLResponse(html, headers={"Content-Security-Policy": CSP, "Referrer-Policy": "no-referrer"})

    @routes.get("/")
    def traces() -> HTMLResponse:
        return render(
            "traces", title="Traces", traces=[_row(store.trace_view(t)) for t in store.traces.all(limit=RECENT)]
        )

    @routes.get("/traces/{id}")
    def trace(id: str) -> HTMLResponse:
        found = store.traces.get(id)
        if found is None:
            raise HTTPException(404, "Trace not found")
        view = store.trace_view(found)
        spans = waterfall(store.spans.children(id), found)
        return render("trace", title=f"Trace {view.get('name')}", trace=_row(view), spans=spans, body=_values(view))

    @routes.get("/datasets")
    def datasets() -> HTMLResponse:
        return render("datasets", title="Datasets", datasets=[store.dataset_view(d) for d in store.datasets.all()])

    @routes.get("/datasets/{id}")
    def dataset(id: str) -> HTMLResponse:
        found = store.datasets.get(id)
        if found is None:
            raise HTTPException(404, "Dataset not found")
        items = [{**item, "text": _pretty(item.get("data"))} for item in store.items.children(id, limit=RECENT)]
        return render("dataset", title=f"Dataset {found['name']}", items=items)

    @routes.get("/experiments")
    def experiments() -> HTMLResponse:
        views = [store.experiment_view(e) for e in store.experiments.all(limit=RECENT)]
        return render("experiments", title="Experiments", experiments=views)

    @routes.get("/experiments/{id}")
    def experiment(id: str) -> HTMLResponse:
        found = store.experiments.get(id)
        if found is None:
            raise HTTPException(404, "Experiment not found")
        items = [store.experiment_item_view(item) for item in store.experiment_items.children(id, limit=RECENT)]
        shown = [{**item, "text": _pretty(item["output"])} for item in items]
        return render("experiment", title=f"Experiment {found['name']}", experiment=found, items=shown)

    @routes.get("/prompts")
    def prompts() -> HTMLResponse:
        found = [{**p, "versions": store.prompt_versions.children(p["id"])} for p in store.prompts.all()]
        return render("prompts", title="Prompts", prompts=found)

    return routes


def waterfall(spans: list[Document], trace: Document) -> list[Document]:
    """Spans in tree order, each with its depth and its place in the trace in percent."""
    begin, whole = _seconds(trace.get("start_time")), max(duration_ms(trace) or 0.0, 0.001) / 1000
    ids = {span["id"] for span in spans}
    ordered: list[Document] = []

    def add(parent: str | None, depth: int) -> None:
        level = [s for s in spans if (s.get("parent_span_id") if s.get("parent_span_id") in ids else None) == parent]
        for span in sorted(level, key=lambda s: s.get("start_time") or ""):
            length = duration_ms(span)
            left = min(100.0, max(0.0, (_seconds(span.get("start_time")) - begin) / whole * 100))
            width = min(100.0 - left, max(0.4, (length or 0.0) / 1000 / whole * 100))
            ordered.append({**span, "depth": depth, "ms": length, "left": left, "width": width, "body": _values(span)})
            add(span["id"], depth + 1)

    add(None, 0)
    return ordered


def _row(trace: Document) -> Document:
    return {**trace, "ms": trace.get("duration")}


def _values(document: Document) -> list[tuple[str, str]]:
    fields = ("input", "output", "metadata", "usage", "error_info", "feedback_scores")
    return [(name, _pretty(document[name])) for name in fields if document.get(name)]


def _pretty(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]} ..."


def _seconds(value: Any) -> float:
    return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp() if value else 0.0
