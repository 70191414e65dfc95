"""Liveness, version, workspace, projects."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from localcloud.opik.http import PRIVATE, Body, PageNumber, created, done, found, page
from localcloud.opik.store import Store

VERSION = "2.2.122"
"""The version that the SDK is told: it must be one whose API this is."""


def router(store: Store) -> APIRouter:
    """Routes over `store`."""
    routes = APIRouter()

    @routes.get("/api/is-alive/ping")
    def ping() -> dict[str, Any]:
        return {"message": "Healthy Server", "healthy": True}

    @routes.get("/api/is-alive/ver")
    def version() -> dict[str, str]:
        return {"version": VERSION}

    @routes.post(f"{PRIVATE}/auth")
    def authorise() -> Response:
        return done()

    @routes.get(f"{PRIVATE}/auth/workspace")
    def workspace() -> dict[str, str]:
        return {"workspace_name": "default"}

    @routes.get(f"{PRIVATE}/toggles")
    def toggles() -> dict[str, Any]:
        return {}

    @routes.post(f"{PRIVATE}/projects/retrieve")
    def retrieve_project(body: Body) -> dict[str, Any]:
        same = store.projects.by_key(body.get("name", ""))
        return found(same[0] if same else None, "Project")

    @routes.get(f"{PRIVATE}/projects/{{id}}")
    def get_project(id: str) -> dict[str, Any]:
        return found(store.projects.get(id), "Project")

    @routes.get(f"{PRIVATE}/projects")
    def list_projects(page_number: PageNumber = 1, size: int = 10, name: str = "") -> dict[str, Any]:
        return page([p for p in store.projects.all() if name.lower() in p["name"].lower()], page_number, size)

    @routes.post(f"{PRIVATE}/projects")
    def create_project(body: Body) -> Response:
        with store.database.transaction():
            return created("projects", store.project(body["name"])["id"])

    return routes
