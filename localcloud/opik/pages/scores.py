"""Page `/scores`: means of every score over time, per day or per experiment, with a line per model."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from localcloud.opik.database import Document
from localcloud.opik.facts import model_of
from localcloud.opik.pages import parameters
from localcloud.opik.pages.metrics import low_is_good
from localcloud.opik.pages.plot import Point, draw
from localcloud.opik.pages.rendering import address, render, score, timestamp
from localcloud.opik.store import Store
from localcloud.opik.times import parse_time

PERIODS = {"1": "last day", "7": "last 7 days", "30": "last 30 days", "90": "last 90 days", "all": "all time"}
BY = {"day": "days", "experiment": "experiments"}
UNNAMED = "unknown model"
MAX_MODELS = 6
"""Lines per plot that can be told apart."""
MAX_EXPERIMENTS = 200

# Without the traces that experiments wrote: they judge answers again, which would count twice.
DAILY = """
SELECT s.name, substr(f.started, 1, 10) AS day, f.model, AVG(s.value), MIN(s.value), MAX(s.value), COUNT(*)
FROM trace_facts f INDEXED BY trace_facts_row
CROSS JOIN scores s INDEXED BY scores_of_owner ON s.parent='trace:' || f.id
WHERE f.started>=? AND s.value IS NOT NULL AND NOT EXISTS (SELECT 1 FROM experiment_items e WHERE e.trace=f.id)
GROUP BY s.name, day, f.model
"""
PER_EXPERIMENT = """
SELECT s.name, AVG(s.value), MIN(s.value), MAX(s.value), COUNT(*)
FROM experiment_items e INDEXED BY experiment_items_traces
CROSS JOIN scores s INDEXED BY scores_of_owner ON s.parent='trace:' || e.trace
WHERE e.parent=? AND s.value IS NOT NULL GROUP BY s.name
"""
Series = dict[str, dict[str, list[Point]]]


def router(store: Store) -> APIRouter:
    """Route of the page over `store`."""
    routes = APIRouter()

    @routes.get("/scores")
    def scores(request: Request) -> HTMLResponse:
        """A plot per score, for the chosen period (days)."""
        by = parameters.choice(request, "by", BY, "day")
        period = parameters.choice(request, "period", PERIODS, "30")
        since = None if period == "all" else datetime.now(UTC) - timedelta(days=int(period))
        found = _by_day(store, since) if by == "day" else _by_experiment(store, since)
        metric = parameters.choice(request, "metric", found, "")
        models = sorted({model for series in found.values() for model in series}, key=lambda m: -_size(found, m))
        kept = sorted(models[:MAX_MODELS])
        chosen = {
            name: {model: found[name][model] for model in kept if model in found[name]}
            for name in sorted(found)
            if metric in ("", name)
        }
        moments = [point.at for series in chosen.values() for points in series.values() for point in points]
        plots = [
            {
                "name": name,
                "low": low_is_good(name),
                "plot": draw(series, (min(moments), max(moments)), daily=by == "day"),
            }
            for name, series in chosen.items()
            if series
        ]
        return render(
            "scores.html",
            section="scores",
            title="Scores over time",
            plots=plots,
            by=by,
            period=period,
            metric=metric,
            metrics=sorted(found),
            periods=PERIODS,
            models=kept,
            left_out=models[MAX_MODELS:],
        )

    return routes


def _by_day(store: Store, since: datetime | None) -> Series:
    found: Series = defaultdict(lambda: defaultdict(list))
    for name, day, model, *numbers in store.database.rows(DAILY, (since.isoformat() if since else "",)):
        noon = datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()
        link = address("/", day=day, score=name, order="highest" if low_is_good(name) else "lowest")
        model = model or UNNAMED
        found[name][model].append(_point(noon, day, model, numbers, link))
    return found


def _by_experiment(store: Store, since: datetime | None) -> Series:
    found: Series = defaultdict(lambda: defaultdict(list))
    for experiment in store.experiments.all(limit=MAX_EXPERIMENTS):
        created = parse_time(experiment.get("created_at"))
        if created is None or (since and created < since):
            continue
        model = _model(experiment)
        link = address(f"/experiments/{experiment['id']}")
        about = f"{timestamp(experiment['created_at'])} {experiment['name']}"
        for name, *numbers in store.database.rows(PER_EXPERIMENT, (experiment["id"],)):
            found[name][model].append(_point(created.timestamp(), about, model, numbers, link))
    return found


def _model(experiment: Document) -> str:
    return model_of(experiment) or UNNAMED


def _point(at: float, about: str, model: str, numbers: list[Any], link: str) -> Point:
    mean, low, high, count = numbers
    label = f"{about}, {model}: mean {score(mean)}, {score(low)} to {score(high)}, {count} scores"
    return Point(at, mean, label, link)


def _size(found: Series, model: str) -> int:
    return sum(len(series.get(model, ())) for series in found.values())
