"""Pages `/prompts` and `/prompts/{id}`: the list, and one prompt with its versions and their differences."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from localcloud.opik.database import Document
from localcloud.opik.pages import parameters
from localcloud.opik.pages.rendering import not_found, render
from localcloud.opik.pages.text_diff import diff
from localcloud.opik.store import Store

PAGE_SIZE = 50


def router(store: Store) -> APIRouter:
    """Routes of the pages over `store`."""
    routes = APIRouter()

    @routes.get("/prompts")
    def prompts(request: Request) -> HTMLResponse:
        """One page of the list of prompts."""
        paging = parameters.paging(request, store.prompts.count(), PAGE_SIZE)
        shown = [
            {**one, "count": store.prompt_versions.count(one["id"]), "latest": _latest(store, one)}
            for one in store.prompts.page(paging.offset, PAGE_SIZE)
        ]
        return render("prompts.html", section="prompts", title="Prompts", prompts=shown, paging=paging)

    @routes.get("/prompts/{id}")
    def prompt(request: Request, id: str) -> HTMLResponse:
        """One prompt with its versions and the difference between two of them; 404 without one."""
        found = store.prompts.get(id)
        if found is None:
            return not_found("prompts", "Prompt")
        versions = store.prompt_versions.children(id)
        by_commit = {version["commit"]: version for version in versions}
        recent = [version["commit"] for version in versions[:2]]
        new = parameters.choice(request, "new", by_commit, recent[0] if recent else "")
        old = parameters.choice(request, "old", by_commit, recent[-1] if recent else "")
        lines = diff(by_commit[old]["template"], by_commit[new]["template"]) if old != new else []
        return render(
            "prompt.html",
            section="prompts",
            title=f"Prompt {found['name']}",
            prompt=found,
            versions=versions,
            old=by_commit.get(old),
            new=by_commit.get(new),
            lines=lines,
            changed={kind: sum(line.kind == kind for line in lines) for kind in ("removed", "added")},
        )

    return routes


def _latest(store: Store, prompt: Document) -> Document | None:
    return next(iter(store.prompt_versions.children(prompt["id"], limit=1)), None)
