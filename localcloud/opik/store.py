"""The collections of all entities, and rules that several routes share."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

from localcloud.opik.database import Collection, Database, Document, new_id, now
from localcloud.opik.facts import TraceFacts
from localcloud.opik.times import duration_ms

DEFAULT_PROJECT = "Default Project"
SCORE_FIELDS = ("name", "value", "reason", "category_name", "source")
ROTATE_SHARE = 0.1
"""Share of the limit that is deleted at once, so that rotation is rare."""


class Store:
    """The collections, and views that join several of them.

    Args:
        path: the SQLite file.
        max_traces: number of traces above which the oldest are deleted.
    """

    def __init__(self, path: Path, max_traces: int) -> None:
        self.database = Database(path)
        self.max_traces = max_traces
        self.projects = Collection(self.database, "projects")
        self.traces = Collection(self.database, "traces")
        self.trace_facts = TraceFacts(self.database)
        self.spans = Collection(self.database, "spans")
        self.scores = Collection(self.database, "scores")
        self.datasets = Collection(self.database, "datasets")
        self.items = Collection(self.database, "items")
        self.dataset_versions = Collection(self.database, "dataset_versions")
        self.experiments = Collection(self.database, "experiments")
        self.experiment_items = Collection(self.database, "experiment_items")
        self.prompts = Collection(self.database, "prompts")
        self.prompt_versions = Collection(self.database, "prompt_versions")

    def project(self, name: str | None = None, id: str | None = None) -> Document:
        """The project of that id or name (`DEFAULT_PROJECT` without one), created when it does not exist."""
        if id and (known := self.projects.get(id)):
            return known
        name = name or DEFAULT_PROJECT
        if same := self.projects.by_key(name):
            return same[0]
        made = {"id": new_id(), "name": name, "visibility": "private", "created_at": now(), "last_updated_at": now()}
        self.projects.put(made["id"], made, key=name)
        return made

    def add_traces(self, traces: list[Document]) -> None:
        """Insert or complete traces, then delete the oldest above the limit."""
        with self.database.transaction():
            for trace in traces:
                project = self.project(trace.get("project_name"), trace.get("project_id"))["id"]
                whole = self.traces.merge(trace["id"], {**trace, "project_id": project}, parent=project)
                self.trace_facts.put(whole)
            self._rotate()

    def add_spans(self, spans: list[Document]) -> None:
        """Insert or complete spans, in one transaction."""
        with self.database.transaction():
            for span in spans:
                project = self.project(span.get("project_name"), span.get("project_id"))["id"]
                self.spans.merge(span["id"], {**span, "project_id": project}, parent=span.get("trace_id"), key=project)

    def add_scores(self, kind: str, scores: list[Document]) -> None:
        """Set feedback scores, which replace those of the same name.

        Args:
            kind: `trace`, `span` or `thread`.
            scores: each with the owner's `id`, `name`, `value` and optional fields of `SCORE_FIELDS`.
        """
        with self.database.transaction():
            for score in scores:
                kept = {name: score[name] for name in SCORE_FIELDS if name in score}
                owner = f"{kind}:{score['id']}"
                body = {**kept, "last_updated_at": now(), "created_at": now()}
                self.scores.put(f"{owner}:{score['name']}", body, parent=owner)

    def scores_of(self, kind: str, id: str) -> list[Document]:
        """Scores of one trace, span or thread."""
        return self.scores.children(f"{kind}:{id}", newest_first=False)

    def delete_traces(self, ids: list[str]) -> None:
        """Delete traces with their spans and scores; unknown ids are ignored."""
        with self.database.transaction():
            for id in ids:
                for span in self.spans.children(id):
                    self.scores.delete_children(f"span:{span['id']}")
                self.spans.delete_children(id)
                self.scores.delete_children(f"trace:{id}")
                self.traces.delete(id)
                self.trace_facts.delete(id)

    def trace_view(self, trace: Document) -> Document:
        """A trace with totals of its spans, its duration (ms) and its scores."""
        spans = self.spans.children(trace["id"])
        usage: dict[str, int] = defaultdict(int)
        for span in spans:
            for name, value in (span.get("usage") or {}).items():
                usage[name] += value
        return {
            **trace,
            "span_count": len(spans),
            "llm_span_count": sum(span.get("type") == "llm" for span in spans),
            "duration": duration_ms(trace),
            "usage": dict(usage) or None,
            "feedback_scores": self.scores_of("trace", trace["id"]) or None,
        }

    def span_view(self, span: Document) -> Document:
        """A span with its duration (ms) and scores."""
        return {**span, "duration": duration_ms(span), "feedback_scores": self.scores_of("span", span["id"]) or None}

    def dataset(self, body: Document) -> Document | None:
        """The dataset that a request names by id, or by name and optionally project; None without one."""
        if body.get("dataset_id"):
            return self.datasets.get(body["dataset_id"])
        same = self.datasets.by_key(body.get("dataset_name") or body.get("name") or "")
        project = body.get("project_name")
        return next((d for d in same if not project or d["project_name"] == project), None)

    def dataset_view(self, dataset: Document) -> Document:
        """A dataset with its number of items."""
        return {**dataset, "dataset_items_count": self.items.count(dataset["id"])}

    def experiment_view(self, experiment: Document) -> Document:
        """An experiment with its number of items and the mean of each score over them."""
        items = self.experiment_items.children(experiment["id"])
        values: dict[str, list[float]] = defaultdict(list)
        for item in items:
            for score in self.scores_of("trace", item["trace_id"]):
                values[score["name"]].append(score["value"])
        means = [{"name": name, "value": statistics.fmean(found)} for name, found in values.items()]
        return {**experiment, "trace_count": len(items), "feedback_scores": means or None}

    def experiment_item_view(self, item: Document) -> Document:
        """An experiment item with input, output and scores of its trace."""
        trace = self.traces.get(item["trace_id"]) or {}
        scores = self.scores_of("trace", item["trace_id"]) or None
        return {**item, "input": trace.get("input"), "output": trace.get("output"), "feedback_scores": scores}

    def _rotate(self) -> None:
        surplus = self.traces.count() - self.max_traces
        if surplus <= 0:
            return
        oldest = self.database.rows(
            "SELECT id FROM traces ORDER BY id LIMIT ?", (surplus + int(self.max_traces * ROTATE_SHARE),)
        )
        self.delete_traces([row[0] for row in oldest])
        self.database.rows("PRAGMA incremental_vacuum(1000)")
