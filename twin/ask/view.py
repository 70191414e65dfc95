"""Terminal output of answers, traces and ingests."""

from __future__ import annotations

import sys
from typing import Any

from rich.markup import escape

from services.common.text import without_control_characters
from twin.target.answer import Answer, ask
from twin.target.local_llm import QUOTING, QUOTING_ENGINE
from twin.target.opik_client import OpikReader, Trace, opik_reader
from twin.target.stage import Stage
from twin.terminal.console import console, milliseconds_cell, print_table, score_cell

TRACE_SECONDS = 30.0
SHOWN_SKIPPED = 3
SHOWN_METADATA = ("prompt_name", "prompt_version", "model_id", "embedding_model_id", "reranker_id", "stage", "release")


def ask_and_print(
    stage: Stage, query: str, *, author: str | None = None, enable_rag: bool = True, sample: bool = True
) -> Answer:
    """Ask, print tokens as they come, then sources, counts and timings."""
    console.print(f"[bold]>[/bold] {escape(query)}\n", markup=True)

    def on_token(text: str) -> None:
        sys.stdout.write(without_control_characters(text))
        sys.stdout.flush()

    answer = ask(stage, query, author=author, enable_rag=enable_rag, sample=sample, on_token=on_token)
    sys.stdout.write("\n\n")
    show_answer(stage, answer)
    return answer


def show_answer(stage: Stage, answer: Answer) -> None:
    """Sources, token counts, timings and the address of the trace."""
    rows = [
        (i, s.get("title"), s.get("author"), s.get("type"), score_cell(s.get("score")))
        for i, s in enumerate(answer.sources, 1)
    ]
    if rows:
        print_table("Sources", ("#", "title", "author", "type", "score"), rows)
    usage, timings = answer.done.get("usage") or {}, answer.done.get("timings") or {}
    numbers = [(name.replace("_", " "), value) for name, value in usage.items()]
    numbers += [(name, f"{value:.1f}") for name, value in timings.items() if isinstance(value, int | float)]
    model = answer.done.get("model")
    print_table(f"Model {QUOTING if model == QUOTING_ENGINE else model}", ("what", "value"), numbers)
    console.print(f"trace: {opik_reader(stage).page(answer.trace_id)}", markup=False)


def show_ingest(report: dict[str, Any]) -> None:
    """What an ingest read and wrote."""
    counts = [f"{value} {name}" for name, value in report.items() if isinstance(value, int)]
    console.print("ingested: " + ", ".join(counts), markup=False)
    by_reason: dict[str, list[str]] = {}
    for skipped in report.get("skipped") or ():
        by_reason.setdefault(skipped["reason"].split(" of ")[0], []).append(skipped["id"])
    rows = [(reason, len(ids), ", ".join(ids[:SHOWN_SKIPPED])) for reason, ids in by_reason.items()]
    if rows:
        print_table("Skipped", ("why", "how many", "for example"), rows)


def show_trace(reader: OpikReader, trace: Trace) -> None:
    """The spans of a trace as a tree with durations."""
    rows = [(trace.name, milliseconds_cell(trace.duration_ms), ", ".join(trace.tags))]
    rows += [(f"{'  ' * (s.depth + 1)}{s.name}", milliseconds_cell(s.duration_ms), s.error or "") for s in trace.spans]
    print_table(f"Trace {trace.id}", ("span", "duration", "tags, errors"), rows)
    known = [(key, trace.metadata[key]) for key in SHOWN_METADATA if key in trace.metadata]
    if known:
        print_table("Metadata", ("key", "value"), known)
    console.print(f"page: {reader.page(trace.id)}", markup=False)
