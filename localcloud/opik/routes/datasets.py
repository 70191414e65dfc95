"""Datasets, their items and versions."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from localcloud.opik.database import Document, new_id, now
from localcloud.opik.filters import matches, parse
from localcloud.opik.http import PRIVATE, Body, PageNumber, created, json_lines, no_content, or_404, page
from localcloud.opik.store import Store

STREAM_LIMIT = 500


def router(store: Store) -> APIRouter:
    """Routes of this module over `store`."""
    routes = APIRouter(prefix=f"{PRIVATE}/datasets")
    _add_items(routes, store)
    _add_versions(routes, store)

    @routes.post("/retrieve")
    def retrieve(body: Body) -> dict[str, Any]:
        """The dataset that the body names by id or by name and project; 404 without one."""
        return store.dataset_view(or_404(store.dataset(body), "Dataset"))

    @routes.post("")
    def create(body: Body) -> Response:
        """Create a dataset: 201, or 409 when its project has one of that name."""
        with store.database.transaction():
            if store.dataset({"dataset_name": body["name"], "project_name": body.get("project_name")}):
                raise HTTPException(409, "Dataset already exists")
            project = store.project(body.get("project_name"), body.get("project_id"))
            dataset = {
                "type": "dataset",
                "visibility": "private",
                **body,
                "id": body.get("id") or new_id(),
                "project_id": project["id"],
                "project_name": project["name"],
                "created_at": now(),
                "last_updated_at": now(),
            }
            store.datasets.put(dataset["id"], dataset, key=body["name"])
        return created("datasets", dataset["id"])

    @routes.get("")
    def list_all(page_number: PageNumber = 1, size: int = 10, project_id: str = "", name: str = "") -> dict[str, Any]:
        """One page of the datasets whose name contains `name`, of one project when `project_id` is set."""
        documents = [d for d in store.datasets.all() if name in d["name"] and project_id in ("", d["project_id"])]
        return page([store.dataset_view(d) for d in documents], page_number, size)

    @routes.post("/delete")
    def delete(body: Body) -> Response:
        """Delete the dataset that the body names, with items and versions: 204, also without one."""
        with store.database.transaction():
            if dataset := store.dataset(body):
                store.items.delete_children(dataset["id"])
                store.dataset_versions.delete_children(dataset["id"])
                store.datasets.delete(dataset["id"])
        return no_content()

    @routes.get("/{id}")
    def get(id: str) -> dict[str, Any]:
        """The dataset with this id; 404 without one."""
        return store.dataset_view(or_404(store.datasets.get(id), "Dataset"))

    return routes


def _add_items(routes: APIRouter, store: Store) -> None:
    @routes.put("/items")
    def put(body: Body) -> Response:
        """Insert or replace items by id, and count them in the version of their batch group: 204."""
        with store.database.transaction():
            _write_items(store, or_404(store.dataset(body), "Dataset"), body)
        return no_content()

    @routes.post("/items/delete")
    def delete(body: Body) -> Response:
        """Delete items by id: 204; unknown ids are ignored."""
        with store.database.transaction():
            for id in body.get("item_ids") or []:
                store.items.delete(id)
        return no_content()

    @routes.post("/items/stream")
    def stream(body: Body) -> Response:
        """Items that match the filters, newest first, one JSON document per line."""
        dataset = or_404(store.dataset(body), "Dataset")
        filters = parse(body.get("filters"))
        items = store.items.children(dataset["id"], before=body.get("last_retrieved_id"))
        # `steam_limit` is the SDK's spelling.
        limit = int(body.get("steam_limit") or body.get("stream_limit") or STREAM_LIMIT)
        return json_lines([item for item in items if matches(item, filters)][:limit])

    @routes.get("/{id}/items")
    def list_items(id: str, page_number: PageNumber = 1, size: int = 10, filters: str = "") -> dict[str, Any]:
        """One page of the items that match the filters, newest first."""
        wanted = parse(filters)
        return page([i for i in store.items.children(id) if matches(i, wanted)], page_number, size)

    @routes.get("/{id}/items/experiments/items")
    def compare(id: str, experiment_ids: str, page_number: PageNumber = 1, size: int = 10) -> dict[str, Any]:
        """One page of items with their results in each of these experiments (a JSON list of ids)."""
        rows: dict[str, list[Document]] = {}
        for experiment in parse(experiment_ids):
            for item in store.experiment_items.children(str(experiment)):
                rows.setdefault(item["dataset_item_id"], []).append(store.experiment_item_view(item))
        documents = [
            {**(store.items.get(item) or {"id": item, "data": {}, "source": "sdk"}), "experiment_items": views}
            for item, views in rows.items()
        ]
        return page(documents, page_number, size)


def _write_items(store: Store, dataset: Document, body: Document) -> None:
    for item in body["items"]:
        id = item.get("id") or new_id()
        known = store.items.get(id) or {"created_at": now()}
        kept = {**item, "id": id, "dataset_item_id": id, "dataset_id": dataset["id"], "last_updated_at": now()}
        store.items.put(id, {**kept, "created_at": known["created_at"]}, parent=dataset["id"])
    group = body.get("batch_group_id") or new_id()
    version = store.dataset_versions.get(group) or {
        "id": group,
        "dataset_id": dataset["id"],
        "version_hash": hashlib.sha256(group.encode()).hexdigest()[:8],
        "version_name": f"v{store.dataset_versions.count(dataset['id']) + 1}",
        "tags": ["latest"],
        "is_latest": True,
        "items_added": 0,
        "created_at": now(),
    }
    version["items_added"] += len(body["items"])
    version["items_total"] = store.items.count(dataset["id"])
    store.dataset_versions.put(group, version, parent=dataset["id"])


def _add_versions(routes: APIRouter, store: Store) -> None:
    @routes.get("/{id}/versions")
    def versions(id: str, page_number: PageNumber = 1, size: int = 10) -> dict[str, Any]:
        """One page of the dataset's versions, newest first; a version is one batch group of items."""
        return page(store.dataset_versions.children(id), page_number, size)

    @routes.post("/{id}/versions/retrieve")
    def version(id: str, body: Body) -> dict[str, Any]:
        """The version of that name; 404 without one."""
        same = [v for v in store.dataset_versions.children(id) if v["version_name"] == body.get("version_name")]
        return or_404(same[0] if same else None, "Dataset version")
