"""How results look in a terminal."""

from __future__ import annotations

import html
import sys
from typing import Any

from twin.commands.ask import Answer, ask
from twin.console import console, print_table
from twin.doctor.finding import Finding, Status
from twin.inventory import Survivor, kinds_checked, services_checked
from twin.opik import opik_reader
from twin.stages import Stage

TRACE_SECONDS = 30.0
MARKS = {Status.OK: "ok", Status.FAILED: "WRONG", Status.WARNING: "warning", Status.SKIPPED: "-"}
SHOWN_METADATA = ("prompt_name", "prompt_version", "model_id", "embedding_model_id", "reranker_id", "stage", "release")


def ask_aloud(stage: Stage, query: str, *, author: str | None = None, enable_rag: bool = True) -> Answer:
    """Ask, print tokens as they come, then sources, counts and timings."""
    console.print(f"[bold]>[/bold] {query}\n", markup=True)

    def on_token(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    answer = ask(stage, query, author=author, enable_rag=enable_rag, on_token=on_token)
    sys.stdout.write("\n\n")
    show_answer(stage, answer)
    return answer


def show_ingest(report: dict[str, Any]) -> None:
    """What an ingest read and wrote."""
    counts = [f"{value} {name}" for name, value in report.items() if isinstance(value, int)]
    console.print("ingested: " + ", ".join(counts), markup=False)
    for skipped in report.get("skipped") or ():
        console.print(f"skipped: {skipped}", markup=False)


def show_answer(stage: Stage, answer: Answer) -> None:
    """Sources, token counts, timings and the address of the trace."""
    rows = [
        (i, s.get("title"), s.get("author"), s.get("type"), _score(s.get("score")))
        for i, s in enumerate(answer.sources, 1)
    ]
    if rows:
        print_table("Sources", ("#", "title", "author", "type", "score"), rows)
    usage, timings = answer.done.get("usage") or {}, answer.done.get("timings") or {}
    numbers = [(name.replace("_", " "), value) for name, value in usage.items()]
    numbers += [(name, f"{value:.1f}") for name, value in timings.items() if isinstance(value, int | float)]
    print_table(f"Model {answer.done.get('model')}", ("what", "value"), numbers)
    console.print(f"trace: {opik_reader(stage).page(answer.trace_id)}", markup=False)


def show_trace(stage: Stage, trace_id: str) -> None:
    """The spans of a trace as a tree with durations."""
    reader = opik_reader(stage)
    trace = reader.wait_for(trace_id, TRACE_SECONDS)
    rows = [(trace.name, _milliseconds(trace.duration_ms), ", ".join(trace.tags))]
    rows += [(f"{'  ' * (s.depth + 1)}{s.name}", _milliseconds(s.duration_ms), s.error or "") for s in trace.spans]
    print_table(f"Trace {trace.id}", ("span", "duration", "tags, errors"), rows)
    known = [(key, trace.metadata[key]) for key in SHOWN_METADATA if key in trace.metadata]
    if known:
        print_table("Metadata", ("key", "value"), known)
    console.print(f"page: {reader.page(trace_id)}", markup=False)


def show_report(report: dict[str, Any]) -> None:
    """The score table of an evaluation."""
    console.print(f"dataset {report.get('dataset')}, experiment {report.get('experiment')}", markup=False)
    means, p10 = report.get("means") or {}, report.get("p10") or {}
    rows = [(name, _score(value), _score(p10.get(name))) for name, value in means.items()]
    print_table(
        f"{report.get('scored', 0)} answers scored, {report.get('failed', 0)} scores failed",
        ("metric", "mean", "p10"),
        rows,
    )


def show_message(message: dict[str, Any]) -> None:
    """A Slack message as its blocks read."""
    console.print(message.get("text", ""), markup=False, style="bold")
    for block in message.get("blocks", ()):
        parts = [block.get("text"), *(block.get("fields") or ()), *(block.get("elements") or ())]
        for part in parts:
            text = part.get("text") if isinstance(part, dict) else None
            if text and text != message.get("text"):
                console.print(f"  {html.unescape(str(text)).replace(chr(10), ': ')}", markup=False)


def show_proof(left: list[Survivor]) -> None:
    """What survived a delete, or how much was looked at to say that nothing did."""
    looked = f"{kinds_checked()} kinds of resources in {len(services_checked())} services"
    if not left:
        console.print(f"[green]0 survivors[/green]: looked at {looked} ({', '.join(services_checked())}).")
        return
    print_table(
        f"{len(left)} survivors of {looked}", ("service", "kind", "name"), [(s.service, s.kind, s.name) for s in left]
    )


def show_findings(stage: str, findings: list[Finding]) -> None:
    """The preflight: one line per finding, then what is wrong with its reason and what mends it."""
    rows = [(MARKS[f.status], f.check, f.seen) for f in findings]
    print_table(f"Doctor, stage {stage}", ("", "check", "seen"), rows)
    for finding in findings:
        if finding.why:
            console.print(f"{MARKS[finding.status]} {finding.check}: {finding.seen}", markup=False, style="bold")
            console.print(f"   why:  {finding.why}\n   mend: {finding.mend}", markup=False)
    counts = [f"{sum(f.status is status for f in findings)} {status}" for status in Status]
    console.print(", ".join(counts), markup=False)


def _score(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"
