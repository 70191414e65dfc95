"""Whether the service's memory grows with the requests that it answered, with tracing at its budget."""

from __future__ import annotations

from statistics import median

from benchmarks.effort import Effort
from benchmarks.measure import Chart, Goal, Report
from benchmarks.processes import run_load
from benchmarks.stub_llm import SHORT
from benchmarks.world import stand_up

USERS = 16
STEPS = 20
SETTLED = 0.2
"""Share of the requests after which pools, caches and the tracer's queue have their size."""
MAX_GROWTH = 1.05


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: something does not start or answers wrongly.
    """
    step = max(effort.memory_requests // STEPS, USERS)
    answered, resident = [0], []
    with stand_up() as world, world.service(SHORT) as (server, url):
        run_load(world.ask_service(url, USERS, USERS, SHORT), world.aws_environment)
        resident.append(server.rss_mb())
        for number in range(STEPS):
            effort.say(f"{number * step:,} of {STEPS * step:,} requests")
            run_load(world.ask_service(url, USERS, step, SHORT), world.aws_environment)
            answered.append((number + 1) * step)
            resident.append(server.rss_mb())
    settled = int(STEPS * SETTLED)
    # Three samples each: one is as noisy as the moment of the last garbage collection.
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
