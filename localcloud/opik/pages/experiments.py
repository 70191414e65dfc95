"""Pages `/experiments`, `/experiments/{id}` and `/experiments/compare`: list, one experiment, comparison of several."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from localcloud.opik.database import Document
from localcloud.opik.pages import parameters
from localcloud.opik.pages.comparison import Item, lowest_first, metrics_of, read, summary, worst_first
from localcloud.opik.pages.metrics import low_is_good
from localcloud.opik.pages.rendering import fields, not_found, render
from localcloud.opik.store import Store

PAGE_SIZE = 25
MAX_COMPARED = 6
"""Largest number of experiments in a comparison; more columns do not fit on a page."""


def router(store: Store) -> APIRouter:
    """Routes of the pages over `store`."""
    routes = APIRouter()

    @routes.get("/experiments")
    def experiments(request: Request) -> HTMLResponse:
        """One page of the list of experiments, with their means."""
        paging = parameters.paging(request, store.experiments.count(), PAGE_SIZE)
        found = store.experiments.page(paging.offset, PAGE_SIZE)
        counts, means = _totals(store, [one["id"] for one in found])
        rows = [
            {**one, "items": counts.get(one["id"], 0), "means": means.get(one["id"], []), "config": _config(one)}
            for one in found
        ]
        return render(
            "experiments.html",
            section="experiments",
            title="Experiments",
            experiments=rows,
            paging=paging,
            most=MAX_COMPARED,
        )

    # Defined before the page of one experiment, whose address would match, too.
    @routes.get("/experiments/compare")
    def compare(request: Request) -> HTMLResponse:
        """The experiments of the parameters `id`, compared with a baseline; 400 for fewer than two."""
        ids = list(dict.fromkeys(request.query_params.getlist("id")))
        found = [one for id in ids[:MAX_COMPARED] if (one := store.experiments.get(id))]
        if len(found) < 2:
            return render(
                "choose.html", section="experiments", title="Compare experiments", status=400, most=MAX_COMPARED
            )
        return _side_by_side(store, request, found, len(ids) > MAX_COMPARED)

    @routes.get("/experiments/{id}")
    def experiment(request: Request, id: str) -> HTMLResponse:
        """One experiment with its means and a page of its items, worst first; 404 without one."""
        found = store.experiments.get(id)
        if found is None:
            return not_found("experiments", "Experiment")
        items = _items(store, [id])
        metrics = metrics_of(items)
        metric = parameters.choice(request, "metric", metrics, "")
        paging = parameters.paging(request, len(items), PAGE_SIZE)
        ranked = lowest_first(items, [metric] if metric else metrics, id)
        same = (
            store.experiments.children(found["dataset_id"], limit=MAX_COMPARED * 5) if found.get("dataset_id") else []
        )
        return render(
            "experiment.html",
            section="experiments",
            title=f"Experiment {found['name']}",
            experiment=found,
            further=fields(found, "metadata"),
            means=[_spread(items, name, id) for name in metrics],
            items=_shown(store, ranked[paging.offset : paging.last]),
            metrics=metrics,
            metric=metric,
            paging=paging,
            others=[one for one in same if one["id"] != id],
        )

    return routes


def _side_by_side(store: Store, request: Request, found: list[Document], more: bool) -> HTMLResponse:
    baseline = parameters.choice(
        request, "baseline", [one["id"] for one in found], min(found, key=lambda one: str(one["created_at"]))["id"]
    )
    ordered = sorted(found, key=lambda one: (one["id"] != baseline, str(one["created_at"])))
    ids = [one["id"] for one in ordered]
    items = _items(store, ids)
    metrics = metrics_of(items)
    metric = parameters.choice(request, "metric", metrics, "")
    common = [item for item in items if len(item.traces) > 1]
    paging = parameters.paging(request, len(common), PAGE_SIZE)
    ranked = worst_first(common, [metric] if metric else metrics, ids)[paging.offset : paging.last]
    shown_metrics = [metric] if metric else metrics
    return render(
        "compare.html",
        section="experiments",
        title="Compare experiments",
        experiments=ordered,
        baseline=baseline,
        metrics=metrics,
        metric=metric,
        summary=[(name, low_is_good(name), summary(items, name, ids)) for name in metrics],
        items=[
            {**shown, "cells": [(name, item.cells(name, ids)) for name in shown_metrics if name in item.scores]}
            for item, shown in zip(ranked, _shown(store, ranked), strict=True)
        ],
        paging=paging,
        shown=[*(("id", id) for id in ids), ("baseline", baseline), ("metric", metric)],
        more=more,
        most=MAX_COMPARED,
    )


def _items(store: Store, experiments: list[str]) -> list[Item]:
    marks = ",".join("?" * len(experiments))
    rows = store.database.rows(
        f"""SELECT e.parent, e.item, e.trace, s.name, s.value
          FROM experiment_items e INDEXED BY experiment_items_traces
          LEFT JOIN scores s INDEXED BY scores_of_owner ON s.parent='trace:' || e.trace
          WHERE e.parent IN ({marks})""",  # noqa: S608 - marks only
        experiments,
    )
    return read((parent, item or trace, trace, name, value) for parent, item, trace, name, value in rows)


def _shown(store: Store, items: list[Item]) -> list[Document]:
    """Items with question, traces, answers and scores, as the templates show them."""
    shown = []
    for item in items:
        traces = {id: store.traces.get(trace) or {} for id, trace in item.traces.items()}
        dataset_item = store.items.get(item.id) or {}
        first: Document = next(iter(traces.values()), {})
        shown.append(
            {
                "id": item.id,
                "question": dataset_item.get("data") or first.get("input"),
                "traces": item.traces,
                "answers": {id: trace.get("output") for id, trace in traces.items()},
                "scores": sorted((name, *values.values()) for name, values in item.scores.items()),
            }
        )
    return shown


def _totals(store: Store, ids: list[str]) -> tuple[dict[str, int], dict[str, list[tuple[str, float]]]]:
    """Number of items and means of scores, by experiment."""
    marks = ",".join("?" * len(ids))
    counted = f"SELECT parent, COUNT(*) FROM experiment_items WHERE parent IN ({marks}) GROUP BY parent"  # noqa: S608
    averaged = f"""SELECT e.parent, s.name, AVG(s.value)
      FROM experiment_items e INDEXED BY experiment_items_traces
      CROSS JOIN scores s INDEXED BY scores_of_owner ON s.parent='trace:' || e.trace
      WHERE e.parent IN ({marks}) AND s.value IS NOT NULL GROUP BY e.parent, s.name ORDER BY s.name"""  # noqa: S608
    means: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for id, name, value in store.database.rows(averaged, ids):
        means[id].append((name, value))
    return dict(store.database.rows(counted, ids)), means


def _spread(items: list[Item], metric: str, experiment: str) -> Document:
    """Mean, 10th percentile by nearest rank (90th where low is good) and count of one score."""
    low = low_is_good(metric)
    values = sorted((i.scores[metric][experiment] for i in items if metric in i.scores), reverse=low)
    return {
        "name": metric,
        "low": low,
        "mean": fmean(values),
        "tail": values[max(0, -(-len(values) // 10) - 1)],
        "count": len(values),
    }


def _config(experiment: Document) -> list[tuple[str, str]]:
    """Name and value of those settings that distinguish experiments: model, prompt version, judge."""
    metadata = experiment.get("metadata")
    if not isinstance(metadata, dict):
        return []
    return [(name, _words(metadata[name])) for name in ("model_id", "prompt_version", "judge") if metadata.get(name)]


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
