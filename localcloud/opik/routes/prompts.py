"""Prompts and their versions."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from localcloud.opik.database import Document, new_id, now
from localcloud.opik.http import PRIVATE, Body, PageNumber, created, or_404, page
from localcloud.opik.store import Store

VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
VERSION_FIELDS = ("template", "metadata", "type", "change_description", "tags")


def router(store: Store) -> APIRouter:
    """Routes of this module over `store`."""
    routes = APIRouter(prefix=f"{PRIVATE}/prompts")

    @routes.post("")
    def create(body: Body) -> Response:
        """Create a prompt, with a first version when the body has a template: 201, or 409 when the name is taken."""
        with store.database.transaction():
            if _find(store, body):
                raise HTTPException(409, "Prompt already exists")
            prompt = _new_prompt(store, body)
            if body.get("template"):
                _new_version(store, prompt, {name: body.get(name) for name in VERSION_FIELDS})
        return created("prompts", prompt["id"])

    @routes.post("/versions")
    def create_version(body: Body) -> dict[str, Any]:
        """Add a version to the prompt that the body names, which is created when it does not exist."""
        with store.database.transaction():
            return _new_version(store, _find(store, body) or _new_prompt(store, body), body["version"])

    @routes.post("/versions/retrieve")
    def retrieve(body: Body) -> dict[str, Any]:
        """The newest version of a prompt, or the one of that commit or version number; 404 without one."""
        prompt = or_404(_find(store, body), "Prompt")
        versions = store.prompt_versions.children(prompt["id"])
        for field in ("commit", "version_number"):
            versions = [v for v in versions if not body.get(field) or v[field] == body[field]]
        return or_404(versions[0] if versions else None, "Prompt version")

    @routes.get("")
    def list_all(page_number: PageNumber = 1, size: int = 10, name: str = "") -> dict[str, Any]:
        """One page of the prompts whose name contains `name`, with their number of versions."""
        same = [p for p in store.prompts.all() if name in p["name"]]
        counted = [{**p, "version_count": store.prompt_versions.count(p["id"])} for p in same]
        return page(counted, page_number, size)

    @routes.get("/by-commit/{commit}")
    def by_commit(commit: str) -> dict[str, Any]:
        """The prompt that has a version with this commit, and that version; 404 without one."""
        same = store.prompt_versions.by_key(commit)
        version = or_404(same[0] if same else None, "Prompt version")
        return {**or_404(store.prompts.get(version["prompt_id"]), "Prompt"), "requested_version": version}

    @routes.get("/{id}/versions")
    def versions(id: str, page_number: PageNumber = 1, size: int = 10) -> dict[str, Any]:
        """One page of a prompt's versions, newest first."""
        return page(store.prompt_versions.children(id), page_number, size)

    return routes


def _find(store: Store, body: Document) -> Document | None:
    project = body.get("project_name")
    same = store.prompts.by_key(body["name"])
    return next((p for p in same if not project or p["project_name"] == project), None)


def _new_prompt(store: Store, body: Document) -> Document:
    project = store.project(body.get("project_name"), body.get("project_id"))
    kept = {name: body.get(name) for name in ("name", "description", "tags")}
    prompt = {
        **kept,
        "id": body.get("id") or new_id(),
        "template_structure": body.get("template_structure") or "text",
        "project_id": project["id"],
        "project_name": project["name"],
        "created_at": now(),
        "last_updated_at": now(),
    }
    store.prompts.put(prompt["id"], prompt, key=body["name"])
    return prompt


def _new_version(store: Store, prompt: Document, version: Document) -> Document:
    id = version.get("id") or new_id()
    body = {
        "type": "mustache",
        **{name: value for name, value in version.items() if value is not None},
        "id": id,
        "prompt_id": prompt["id"],
        "commit": id.replace("-", "")[-8:],
        "version_number": f"v{store.prompt_versions.count(prompt['id']) + 1}",
        "variables": sorted(set(VARIABLE.findall(version["template"]))),
        "template_structure": prompt["template_structure"],
        "created_at": now(),
    }
    store.prompt_versions.put(id, body, parent=prompt["id"], key=body["commit"])
    return body
