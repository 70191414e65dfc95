"""`python -m benchmarks [--quick] [NAME ...]`: runs all benchmarks but the drills, or those named."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks import environment
from benchmarks.effort import quick, thorough
from benchmarks.fault_proxy import FAULTS
from benchmarks.measure import Report, load_average
from benchmarks.processes import RESULTS, WORK, BenchmarkError
from localcloud.process import REPOSITORY, base_environment

NAMES = ("gateway", "llm_client", "retrieval", "tracing", "ingest", "synth", "memory", "collector", "hostile_bodies")
"""Modules of this package with `run(effort) -> Report`."""
DRILLS = ("outage",)
"""Modules of the same form that run only when named, since they take longest."""

# Wide enough for the tables when the output is not a terminal.
console = Console(width=None if sys.stdout.isatty() else 160)


def main() -> int:
    """Run the benchmarks and print tables. Returns 0 when all were measured, whether goals are met or not, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = (*NAMES, *DRILLS)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}; none means all but {', '.join(DRILLS)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="ten minutes instead of half an hour, with less precise figures"
    )
    parser.add_argument("--seconds", type=float, help="outage: how long Opik is unavailable (600; with --quick 20)")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="outage: fault of Opik; may be repeated (all)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    effort = (quick if options.quick else thorough)(_print_progress)
    if options.seconds:
        effort = replace(effort, outage_seconds=options.seconds)
    if options.fault:
        effort = replace(effort, outage_faults=tuple(options.fault))
    failed = False
    reports: list[Report] = []
    for name in options.names or NAMES:
        console.rule(name)
        try:
            report: Report = importlib.import_module(f"benchmarks.{name}").run(effort)
            _save(report, short=options.quick)
        except BenchmarkError as error:
            console.print(f"[red]{name} was not measured.[/red] {error}", highlight=False)
            failed = True
            continue
        _show(report)
        reports.append(report)
    if reports:
        _show_goals(reports)
        console.print(f"Figures and plots: {RESULTS.relative_to(REPOSITORY)}/")
    return 1 if failed else 0


def _print_progress(line: str) -> None:
    console.print(f"  {datetime.now():%H:%M:%S} {line}", style="dim", highlight=False)


def _save(report: Report, *, short: bool) -> None:
    """Write the report as JSON and its plots as PNG into `RESULTS`."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    head = {"taken": datetime.now(UTC).isoformat(timespec="seconds"), "quick": short, "load": load_average()}
    goals = [{**asdict(goal), "met": goal.met} for goal in report.goals]
    file = RESULTS / f"{report.name}.json"
    file.write_text(json.dumps({**head, **machine, **asdict(report), "goals": goals}, indent=1))
    python = environment.ensure(_print_progress)
    done = subprocess.run(
        [str(python), "-m", "benchmarks.plot", str(file), str(RESULTS)],
        env={**base_environment(WORK), "MPLCONFIGDIR": str(WORK)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"The plot of {report.name} cannot be drawn: {done.stderr.strip().splitlines()[-1:]}")


def _show(report: Report) -> None:
    table = Table(title=report.title, title_justify="left")
    for number, column in enumerate(report.columns):
        table.add_column(column, justify="left" if number < 1 else "right", overflow="fold")
    for row in report.rows:
        table.add_row(*row)
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}", highlight=False)


def _show_goals(reports: list[Report]) -> None:
    table = Table("goal", "reached", "wanted", "", title="Goals", title_justify="left")
    for report in reports:
        for goal in report.goals:
            *cells, verdict = goal.as_row()
            table.add_row(*cells, f"[green]{verdict}[/green]" if goal.met else f"[red]{verdict}[/red]")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
