"""Liveness, version, workspace, projects."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from localcloud.opik.http import PRIVATE, Body, PageNumber, created, no_content, or_404, page
from localcloud.opik.store import Store

VERSION = "2.2.122"
"""Version that the SDK is told; its API is the one that is imitated here."""


def router(store: Store) -> APIRouter:
    """Routes of this module over `store`."""
    routes = APIRouter()

    @routes.get("/api/is-alive/ping")
    def ping() -> dict[str, Any]:
        """Liveness, as the SDK checks it."""
        return {"message": "Healthy Server", "healthy": True}

    @routes.get("/api/is-alive/ver")
    def version() -> dict[str, str]:
        """Version of the backend, which the SDK compares with its own."""
        return {"version": VERSION}

    @routes.post(f"{PRIVATE}/auth")
    def authorise() -> Response:
        """Accept any API key: 204."""
        return no_content()

    @routes.get(f"{PRIVATE}/auth/workspace")
    def workspace() -> dict[str, str]:
        """The only workspace."""
        return {"workspace_name": "default"}

    @routes.get(f"{PRIVATE}/toggles")
    def toggles() -> dict[str, Any]:
        """Feature toggles of the backend: none."""
        return {}

    @routes.post(f"{PRIVATE}/projects/retrieve")
    def retrieve_project(body: Body) -> dict[str, Any]:
        """The project of that name; 404 without one."""
        same = store.projects.by_key(body.get("name", ""))
        return or_404(same[0] if same else None, "Project")

    @routes.get(f"{PRIVATE}/projects/{{id}}")
    def get_project(id: str) -> dict[str, Any]:
        """The project with this id; 404 without one."""
        return or_404(store.projects.get(id), "Project")

    @routes.get(f"{PRIVATE}/projects")
    def list_projects(page_number: PageNumber = 1, size: int = 10, name: str = "") -> dict[str, Any]:
        """One page of the projects whose name contains `name`, whatever its case."""
        return page([p for p in store.projects.all() if name.lower() in p["name"].lower()], page_number, size)

    @routes.post(f"{PRIVATE}/projects")
    def create_project(body: Body) -> Response:
        """Create a project, or find the one of that name: 201."""
        with store.database.transaction():
            return created("projects", store.project(body["name"])["id"])

    return routes
