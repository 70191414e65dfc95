"""Pages `/datasets` and `/datasets/{id}`: the list, and one dataset with its items."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from localcloud.opik.database import Document
from localcloud.opik.pages import parameters
from localcloud.opik.pages.rendering import fields, not_found, render
from localcloud.opik.store import Store

PAGE_SIZE = 25


def router(store: Store) -> APIRouter:
    """Routes of the pages over `store`."""
    routes = APIRouter()

    @routes.get("/datasets")
    def datasets(request: Request) -> HTMLResponse:
        """One page of the list of datasets."""
        paging = parameters.paging(request, store.datasets.count(), PAGE_SIZE)
        shown = [
            {**store.dataset_view(one), "experiments": store.experiments.count(one["id"])}
            for one in store.datasets.page(paging.offset, PAGE_SIZE)
        ]
        return render("datasets.html", section="datasets", title="Datasets", datasets=shown, paging=paging)

    @routes.get("/datasets/{id}")
    def dataset(request: Request, id: str) -> HTMLResponse:
        """One dataset with a page of its items, optionally those that contain a text; 404 without one."""
        found = store.datasets.get(id)
        if found is None:
            return not_found("datasets", "Dataset")
        text = parameters.text(request, "text")
        where, values = (
            ("parent=? AND body LIKE ? ESCAPE '!'", (id, _like_pattern(text))) if text else ("parent=?", (id,))
        )
        total = store.database.rows(f"SELECT COUNT(*) FROM items WHERE {where}", values)[0][0]  # noqa: S608
        paging = parameters.paging(request, total, PAGE_SIZE)
        page = f"SELECT body FROM items WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?"  # noqa: S608
        rows = store.database.rows(page, (*values, PAGE_SIZE, paging.offset))
        return render(
            "dataset.html",
            section="datasets",
            title=f"Dataset {found['name']}",
            dataset=found,
            items=[_item(store, json.loads(row[0])) for row in rows],
            experiments=store.experiments.children(id, limit=PAGE_SIZE),
            text=text,
            paging=paging,
        )

    return routes


def _like_pattern(text: str) -> str:
    """Pattern of LIKE (escape character `!`) for a text as it is written within JSON."""
    written = json.dumps(text)[1:-1]
    for special in "!%_":
        written = written.replace(special, f"!{special}")
    return f"%{written}%"


def _item(store: Store, item: Document) -> Document:
    data = item.get("data") or {}
    metadata = data.get("metadata") if isinstance(data, dict) else None
    trace = str((metadata or {}).get("trace_id") or item["id"]) if isinstance(metadata, dict | None) else item["id"]
    names = tuple(data) if isinstance(data, dict) else ()
    return {
        "id": item["id"],
        "created_at": item.get("created_at"),
        "data": data,
        "fields": fields(data, *names),
        "trace": trace if store.traces.get(trace) else None,
    }
