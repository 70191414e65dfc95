"""Terminal output of prices, also as Markdown and JSON."""

from __future__ import annotations

import sys

from twin.cost import one_off, report
from twin.cost.assembly import Assembly
from twin.cost.diff import Diff
from twin.cost.estimate import Estimate
from twin.cost.outside import external_services
from twin.cost.refresh import Refresh
from twin.cost.report import Table
from twin.terminal.console import console, print_json, print_table


def show_cost(
    estimate: Estimate, assembly: Assembly, title: str, *, markdown: bool, as_json: bool, region: str | None = None
) -> None:
    """What a stage costs, with every note that belongs to the sums; with a region, what it costs once as well."""
    once = [] if region is None else [one_off.image_build(region)]
    remarks = [*report.notes(estimate, external_services(assembly)), *once]
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
