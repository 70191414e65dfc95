"""The calls of Qdrant's REST API that the RAG service makes, over a dictionary; ranks by cosine only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tests.integration.rag.fakes import Server


class Qdrant(Server):
    """`down` makes every call fail with 500."""

    def __init__(self) -> None:
        self.down = False
        self.collections: dict[str, dict[str, Any]] = {}
        self.points: dict[str, dict[str, dict[str, Any]]] = {}
        self.writes = 0
        self.queries: list[dict[str, Any]] = []
        super().__init__()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if self.down:
            return 500, {"status": {"error": "down"}}, {}
        path = urlsplit(request.path).path.strip("/").split("/")
        if len(path) == 1:
            return self._ok({"collections": [{"name": name} for name in self.collections]})
        name, action = path[1], "/".join([request.command, *path[2:]])
        if action == "PUT" and name not in self.collections:
            self.collections[name], self.points[name] = body, {}
            return self._ok(True)
        if name not in self.collections:
            return 404, {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}}, {}
        return self._ok(getattr(self, "_" + action.replace("/", "_").lower())(name, body))

    @staticmethod
    def _ok(result: Any) -> tuple[int, Any, dict[str, str]]:
        return 200, {"result": result, "status": "ok", "time": 0.0}, {}

    def _get(self, name: str, _: Any) -> Any:
        created = self.collections[name]
        config = {
            "params": {"vectors": created["vectors"], "sparse_vectors": created["sparse_vectors"]},
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "metadata": created.get("metadata"),
        }
        return {
            "status": "green",
            "optimizer_status": "ok",
            "segments_count": 1,
            "config": config,
            "payload_schema": {},
        }

    def _put_index(self, *_: Any) -> Any:
        return {"operation_id": 1, "status": "completed"}

    def _put_points(self, name: str, body: Any) -> Any:
        for point in body["points"]:
            assert point["vector"]["bm25"]["model"] == "qdrant/bm25"
            self.points[name][point["id"]] = point
            self.writes += 1
        return {"operation_id": 1, "status": "completed"}

    def _post_points_delete(self, name: str, body: Any) -> Any:
        for point in self._matching(name, body["filter"]):
            del self.points[name][point["id"]]
        return {"operation_id": 1, "status": "completed"}

    def _post_points_scroll(self, name: str, body: Any) -> Any:
        found = sorted((p for p in self._matching(name, body["filter"])), key=lambda point: point["id"])
        found = [point for point in found if point["id"] >= (body.get("offset") or "")]
        page, rest = found[: body["limit"]], found[body["limit"] :]
        points = [{"id": point["id"], "payload": point["payload"]} for point in page]
        return {"points": points, "next_page_offset": rest[0]["id"] if rest else None}

    def _post_facet(self, name: str, body: Any) -> Any:
        values = [point["payload"][body["key"]] for point in self._matching(name, body["filter"])]
        return {"hits": [{"value": value, "count": values.count(value)} for value in sorted(set(values))]}

    def _post_points_query(self, name: str, body: Any) -> Any:
        self.queries.append({"collection": name, **body})
        vector = np.asarray(body["prefetch"][0]["query"])
        found = self._matching(name, body["filter"])
        found.sort(key=lambda point: -float(vector @ np.asarray(point["vector"]["dense"])))
        return {
            "points": [
                {
                    "id": point["id"],
                    "version": 0,
                    "score": 1 / (2 + rank),
                    "payload": point["payload"],
                    "vector": {"dense": point["vector"]["dense"]},
                }
                for rank, point in enumerate(found[: body["limit"]])
            ]
        }

    def _matching(self, name: str, where: Any) -> list[dict[str, Any]]:
        def meets(point: dict[str, Any], condition: dict[str, Any]) -> bool:
            if "has_id" in condition:
                return point["id"] in condition["has_id"]
            match = condition["match"]
            return point["payload"][condition["key"]] in match.get("any", [match.get("value")])

        return [p for p in self.points[name].values() if all(meets(p, condition) for condition in where["must"])]
