"""HTML pages without scripts: traces, experiments, scores over time, datasets, prompts."""

from __future__ import annotations

from fastapi import APIRouter

from localcloud.opik.pages import datasets, experiments, prompts, scores, static, traces
from localcloud.opik.store import Store


def router(store: Store) -> APIRouter:
    """Routes of all pages over `store`."""
    routes = APIRouter(include_in_schema=False)
    routes.include_router(static.router())
    for module in (traces, experiments, scores, datasets, prompts):
        routes.include_router(module.router(store))
    return routes
