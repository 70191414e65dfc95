"""Growth of the service's memory with the number of answered requests, with tracing at its budget."""

from __future__ import annotations

from statistics import median

from benchmarks.effort import Effort
from benchmarks.measure import Chart, Goal, Report
from benchmarks.processes import run_load
from benchmarks.stub_llm import SHORT
from benchmarks.testbed import start_testbed

USERS = 16
STEPS = 20
SETTLED = 0.2
"""Share of the requests after which pools, caches and the tracer's queue have reached their size."""
MAX_GROWTH = 1.05


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: something does not start or answers wrongly.
    """
    step = max(effort.memory_requests // STEPS, USERS)
    answered, resident = [0], []
    with start_testbed() as testbed, testbed.service(SHORT) as (server, url):
        run_load(testbed.ask_service(url, USERS, USERS, SHORT), testbed.aws_environment)
        resident.append(server.rss_mb())
        for number in range(STEPS):
            effort.progress(f"{number * step:,} of {STEPS * step:,} requests")
            run_load(testbed.ask_service(url, USERS, step, SHORT), testbed.aws_environment)
            answered.append((number + 1) * step)
            resident.append(server.rss_mb())
    settled = int(STEPS * SETTLED)
    # The median of three samples, since one depends on the moment of the last garbage collection.
    early, late = median(resident[settled : settled + 3]), median(resident[-3:])
    report = Report(
        "memory",
        "Memory of the service",
        ("requests", "resident MiB"),
        [(f"{count:,}", f"{size:.1f}") for count, size in zip(answered, resident, strict=True)],
    )
    report.goals = [
        Goal(f"resident after {answered[-1]:,} requests against {answered[settled]:,}", late / early, MAX_GROWTH)
    ]
    report.charts = [
        Chart(
            "Resident memory", "lines", "requests answered", "MiB", [float(n) for n in answered], {"service": resident}
        )
    ]
    report.data = {"requests": answered, "resident_mib": resident}
    return report
