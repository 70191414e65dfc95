"""Terminal output of evaluation reports."""

from __future__ import annotations

from typing import Any

from twin.terminal.console import console, print_table, score_cell


def show_report(report: dict[str, Any]) -> None:
    """The score table of an evaluation."""
    console.print(f"dataset {report.get('dataset')}, experiment {report.get('experiment')}", markup=False)
    means, p10 = report.get("means") or {}, report.get("p10") or {}
    rows = [(name, score_cell(value), score_cell(p10.get(name))) for name, value in means.items()]
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
            *(score_cell(each[name]) for name in ("baseline", "now")),
            f"{each['now'] - each['baseline']:+.3f}",
            f"{each['low']:+.2f} to {each['high']:+.2f}",
            "WORSE" if each["regressed"] else "",
        )
        for each in report["comparison"]
    ]
    columns = ("metric", "items", "before", "now", "diff", "interval", "")
    print_table(f"Against {report['baseline']}", columns, rows)
    console.print(f"Intervals: {_resamples(report)}.", markup=False)
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


def show_retrieval(report: dict[str, Any]) -> None:
    """The figures of every mode of retrieval, and how sure its difference to dense search is."""
    modes, figure = report["modes"], f"ndcg@{report['ndcg_at']}"
    against = [mode["against_dense"].get(figure, {}) for mode in modes.values()]
    rows: list[tuple[object, ...]] = [
        (name, *(score_cell(mode["means"][name]) for mode in modes.values()))
        for name in next(iter(modes.values()))["means"]
    ]
    rows += [
        (f"{figure}, {label}", *(f"{found[key]:+.3f}" if found else "" for found in against))
        for label, key in (("minus dense", "mean"), ("at least", "low"), ("at most", "high"))
    ]
    rows.append(("fell back", *(mode["degraded"] or "" for mode in modes.values())))
    print_table(f"{report['queries']} questions, re-ranker {report['reranker_id']}", ("figure", *modes), rows)
    console.print(f"At least, at most: in {_resamples(report)}.", markup=False)


def show_judges(report: dict[str, Any]) -> None:
    """How each score agrees with the labels, and where it does not."""
    rows = [
        (
            found["score"],
            found["pairs"],
            found["failed"],
            f"{found['agreement']:.0%}",
            score_cell(found["kappa"]),
            score_cell(found["auc"]),
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


def _resamples(report: dict[str, Any]) -> str:
    return f"{report['confidence']:.0%} of {report['resamples']} paired bootstrap resamples (seed {report['seed']})"
