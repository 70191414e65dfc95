"""Experiments and their items."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from localcloud.opik.database import Document, new_id, now
from localcloud.opik.http import PRIVATE, Body, PageNumber, created, json_lines, no_content, or_404, page
from localcloud.opik.store import Store

STREAM_LIMIT = 500


def router(store: Store) -> APIRouter:
    """Routes of this module over `store`."""
    routes = APIRouter(prefix=f"{PRIVATE}/experiments")

    @routes.post("")
    def create(body: Body) -> Response:
        """Create an experiment: 201. Without a name it gets one from its id."""
        with store.database.transaction():
            dataset = store.dataset(body)
            project = store.project(body.get("project_name"), body.get("project_id"))
            id = body.get("id") or new_id()
            name = body.get("name") or f"experiment-{id[-6:]}"
            known: Document = {"type": "regular", "status": "running", **body, "id": id, "name": name}
            known |= {"dataset_id": dataset and dataset["id"], "project_id": project["id"]}
            known |= {"created_at": now(), "last_updated_at": now()}
            store.experiments.put(id, known, key=name, parent=known["dataset_id"])
        return created("experiments", id)

    @routes.post("/items")
    def add_items(body: Body) -> Response:
        """Record items, each a trace of an experiment for a dataset item: 204."""
        with store.database.transaction():
            for item in body["experiment_items"]:
                id = item.get("id") or new_id()
                kept = {**item, "id": id, "created_at": now()}
                store.experiment_items.put(id, kept, parent=item["experiment_id"])
        return no_content()

    @routes.post("/finish")
    def finish(body: Body) -> Response:
        """Set the status of experiments to `completed`: 204."""
        with store.database.transaction():
            for id in body.get("ids", []):
                store.experiments.merge(id, {"status": "completed"})
        return no_content()

    @routes.post("/stream")
    def stream(body: Body) -> Response:
        """Experiments of that name with the means of their scores, one JSON document per line; one page holds all."""
        if body.get("last_retrieved_id"):
            return json_lines([])
        return json_lines([store.experiment_view(e) for e in store.experiments.by_key(body["name"])])

    @routes.post("/items/stream")
    def stream_items(body: Body) -> Response:
        """Items of the experiments of that name with input, output and scores, one JSON document per line."""
        found_items = [
            store.experiment_item_view(item)
            for experiment in store.experiments.by_key(body["experiment_name"])
            for item in store.experiment_items.children(experiment["id"], before=body.get("last_retrieved_id"))
        ]
        return json_lines(found_items[: int(body.get("limit") or STREAM_LIMIT)])

    @routes.patch("/{id}")
    def update(id: str, body: Body) -> Response:
        """Set fields of an experiment: 204."""
        with store.database.transaction():
            store.experiments.merge(id, body)
        return no_content()

    @routes.get("/{id}")
    def get(id: str) -> dict[str, Any]:
        """The experiment with this id and the means of its scores; 404 without one."""
        return store.experiment_view(or_404(store.experiments.get(id), "Experiment"))

    @routes.get("")
    def list_all(page_number: PageNumber = 1, size: int = 10, name: str = "") -> dict[str, Any]:
        """One page of the experiments whose name contains `name`, newest first."""
        same = [e for e in store.experiments.all() if name in e["name"]]
        return page([store.experiment_view(e) for e in same], page_number, size)

    return routes
