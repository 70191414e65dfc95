"""How results look in a terminal."""

from __future__ import annotations

import html
import sys
from typing import Any

from twin.commands.ask import Answer, ask
from twin.commands.delete import Planned
from twin.console import console, print_json, print_table
from twin.cost import report
from twin.cost.assembly import Assembly
from twin.cost.diff import Diff
from twin.cost.estimate import Estimate
from twin.cost.outside import external_services
from twin.cost.refresh import Refresh
from twin.cost.report import Table
from twin.doctor.finding import Finding, Status
from twin.inventory.listings import kinds_checked, services_checked
from twin.inventory.survivors import Survivor
from twin.opik import opik_reader
from twin.stages import Stage

TRACE_SECONDS = 30.0
MARKS = {Status.OK: "ok", Status.FAILED: "WRONG", Status.WARNING: "warning", Status.SKIPPED: "-"}
SHOWN_SKIPPED = 3
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
    by_reason: dict[str, list[str]] = {}
    for skipped in report.get("skipped") or ():
        by_reason.setdefault(skipped["reason"].split(" of ")[0], []).append(skipped["id"])
    rows = [(reason, len(ids), ", ".join(ids[:SHOWN_SKIPPED])) for reason, ids in by_reason.items()]
    if rows:
        print_table("Skipped", ("why", "how many", "for example"), rows)


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


def show_offline(report: dict[str, Any]) -> None:
    """Scores of an offline evaluation, and how they compare with the baseline's."""
    show_report(report)
    for each in report["unanswered"]:
        console.print(f"no answer: {each['query']}: {each['problem']}", markup=False)
    if not report["baseline"]:
        return
    rows = [
        (
            each["metric"],
            each["items"],
            *(_score(each[name]) for name in ("baseline", "now")),
            f"{each['now'] - each['baseline']:+.3f}",
            f"{each['low']:+.2f} to {each['high']:+.2f}",
            "WORSE" if each["regressed"] else "",
        )
        for each in report["comparison"]
    ]
    columns = ("metric", "items", "before", "now", "diff", "interval", "")
    print_table(f"Against {report['baseline']}", columns, rows)
    console.print(f"Intervals: {report['confidence']:.0%} of {report['resamples']} paired bootstrap resamples.")
    if low := [each["metric"] for each in report["comparison"] if not each["higher_is_better"]]:
        console.print(f"Low is good: {', '.join(low)}", markup=False)
    if report["not_compared"]:
        console.print(f"Not scored now: {', '.join(report['not_compared'])}", markup=False)
    for each in report["comparison"]:
        for sample in each["worst"] if each["regressed"] else ():
            change = f"{each['metric']} {sample['baseline']:.3f} -> {sample['now']:.3f}: {sample['query']}"
            console.print(
                f"{change}\n   now:    {sample['trace']}\n   before: {sample['baseline_trace']}", markup=False
            )


def show_added(trace_ids: list[str]) -> None:
    """Which answers are on their way into the dataset."""
    console.print(f"{len(trace_ids)} on the way into the dataset: {', '.join(trace_ids)}", markup=False)


def show_moved(moved: int) -> None:
    """How many samples are back in the queue."""
    console.print(f"{moved} samples moved back into the queue." if moved else "The dead-letter queue is empty.")


def show_retrieval(report: dict[str, Any]) -> None:
    """The figures of every mode of retrieval, and how sure its difference to dense search is."""
    modes, figure = report["modes"], f"ndcg@{report['ndcg_at']}"
    against = [mode["against_dense"].get(figure, {}) for mode in modes.values()]
    rows: list[tuple[object, ...]] = [
        (name, *(_score(mode["means"][name]) for mode in modes.values()))
        for name in next(iter(modes.values()))["means"]
    ]
    rows += [
        (f"{figure}, {label}", *(f"{found[key]:+.3f}" if found else "" for found in against))
        for label, key in (("minus dense", "mean"), ("at least", "low"), ("at most", "high"))
    ]
    rows.append(("fell back", *(mode["degraded"] or "" for mode in modes.values())))
    print_table(f"{report['queries']} questions, re-ranker {report['reranker_id']}", ("figure", *modes), rows)
    resamples = f"{report['confidence']:.0%} of {report['resamples']} paired bootstrap resamples"
    console.print(f"At least, at most: in {resamples}.", markup=False)


def show_judges(report: dict[str, Any]) -> None:
    """How each score agrees with the labels, and where it does not."""
    rows = [
        (
            found["score"],
            found["pairs"],
            found["failed"],
            f"{found['agreement']:.0%}",
            _score(found["kappa"]),
            _score(found["auc"]),
            "" if found["best_kappa"] is None else f"{found['best_kappa']:.3f} at {found['best_threshold']:.2f}",
        )
        for found in report["scores"]
    ]
    columns = ("score", "n", "fail", "agree", "kappa", "AUC", "best kappa")
    print_table(f"{report['pairs']} labelled pairs, judge {report['judge'] or 'none'}", columns, rows)
    for found in report["scores"]:
        labels = list(found["confusion"])
        steps = ", ".join(f"{step:g}" for step in found["thresholds"])
        table = [(label, *(found["confusion"][label][other] for other in labels)) for label in labels]
        print_table(f"{found['score']}, goodness divided at {steps}", ("labelled \\ scored", *labels), table)
        if found["wrong"]:
            console.print(f"disagrees on: {', '.join(found['wrong'])}", markup=False)
    if usage := report["usage"]:
        console.print(
            f"judging used {usage['calls']} calls, {usage['input_tokens']} tokens in, {usage['output_tokens']} out, "
            f"{usage['dollars']:.4f} US dollars; {usage['repaired']} answers were repaired",
            markup=False,
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
    rows = [(s.service, s.kind, s.name, s.why) for s in left]
    print_table(f"{len(left)} survivors of {looked}", ("service", "kind", "name", "why"), rows)


def show_plan(planned: list[Planned]) -> None:
    """What a delete would remove, in its order."""
    if not planned:
        console.print("Nothing of the stage stands.")
        return
    print_table(f"{len(planned)} removals", ("step", "kind", "name"), [(p.step, p.kind, p.name) for p in planned])


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


def show_cost(estimate: Estimate, assembly: Assembly, title: str, *, markdown: bool, as_json: bool) -> None:
    """What a stage costs, with every note that belongs to the sums."""
    remarks = report.notes(estimate, external_services(assembly))
    if as_json:
        print_json({**report.as_dict(estimate), "notes": remarks})
        return
    _show_tables(report.tables(estimate, title), remarks, markdown)


def show_cost_diff(diff: Diff, *, markdown: bool, as_json: bool) -> None:
    """The price difference between two cloud assemblies."""
    remarks = report.notes(diff.after, ())
    if as_json:
        print_json({**report.diff_as_dict(diff), "notes": remarks})
        return
    _show_tables(report.diff_tables(diff), remarks, markdown)


def show_refresh(brought: list[Refresh]) -> None:
    """Which prices were fetched, and why others were not; on standard error, beside the estimate."""
    for each in brought:
        print(f"{len(each.prices)} prices fetched, {len(each.kept)} kept as they were.", file=sys.stderr)
        for key, why in each.kept.items():
            print(f"   {key}: {why}", file=sys.stderr)


def _show_tables(tables: list[Table], remarks: list[str], markdown: bool) -> None:
    if markdown:
        parts = [table.markdown() for table in tables] + ["\n".join(f"- {remark}" for remark in remarks)]
        print("\n\n".join(parts))
        return
    for table in tables:
        print_table(table.title, table.columns, table.rows)
    for remark in remarks:
        console.print(remark, markup=False)


def _score(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"
