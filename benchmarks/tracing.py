"""Cost of tracing: the service with tracing at its budget, against the same service with tracing off.

Answers/s are measured with short answers that fill the server's core, so that the tracer's processor time reduces them.
Stalls are measured as the gap between two tokens, at a moderate load of standard answers.
"""

from __future__ import annotations

from statistics import median

from benchmarks.effort import Effort
from benchmarks.measure import Chart, Goal, Report, Spread, ms, percentile
from benchmarks.processes import Server, run_load
from benchmarks.stub_llm import SHORT
from benchmarks.testbed import TRACES_PER_SECOND, Testbed, start_testbed

SATURATING_USERS = 16
MODERATE_USERS = 16
ON, OFF = f"{TRACES_PER_SECOND} traces/s", "off"


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: something does not start or answers wrongly.
    """
    rates: dict[str, list[float]] = {ON: [], OFF: []}
    costs: dict[str, list[float]] = {ON: [], OFF: []}
    gaps: dict[str, list[Spread]] = {ON: [], OFF: []}
    longest: dict[str, list[float]] = {ON: [], OFF: []}
    with start_testbed() as testbed:
        for number in range(effort.rounds):
            for name, budget in ((ON, TRACES_PER_SECOND), (OFF, 0)):
                effort.progress(f"round {number + 1} of {effort.rounds}: tracing {name}, full core")
                with testbed.service(SHORT, traces_per_second=budget) as (server, url):
                    rate, cost = _saturated(testbed, server, url, effort.saturating_answers)
                rates[name].append(rate)
                costs[name].append(cost)
                effort.progress(f"round {number + 1} of {effort.rounds}: tracing {name}, {MODERATE_USERS} users")
                with testbed.service(traces_per_second=budget) as (_, url):
                    answers = effort.answers[MODERATE_USERS]
                    result = run_load(testbed.ask_service(url, MODERATE_USERS, answers), testbed.aws_environment)
                gaps[name].append(Spread.of(result.gap_ms))
                longest[name].append(percentile(result.gap_ms, 1))
    report = Report(
        "tracing",
        "Cost of tracing",
        ("tracing", "short answers/s", "CPU ms/answer", "token gap p50 ms", "p95", "p99", "longest"),
    )
    for name in (ON, OFF):
        gap = Spread.median_of(gaps[name])
        report.rows.append(
            (
                *(name, f"{median(rates[name]):.0f}", ms(median(costs[name]))),
                *(ms(gap.p50), ms(gap.p95), ms(gap.p99), ms(median(longest[name]))),
            )
        )
    kept = median(on / off for on, off in zip(rates[ON], rates[OFF], strict=True))
    stall = median(on.p99 - off.p99 for on, off in zip(gaps[ON], gaps[OFF], strict=True))
    report.goals = [
        Goal("answers/s with tracing against without", kept, 0.9, "at least", "x"),
        Goal("p99 of the token gap, with tracing minus without", stall, 20, "at most", "ms"),
    ]
    report.charts = [
        Chart("Answers/s on a full core", "bars", "tracing", "answers/s", [ON, OFF], {"median": _medians(rates)}),
        Chart(
            "Gap between tokens (sent 10 ms apart)",
            "bars",
            "tracing",
            "ms",
            [ON, OFF],
            {
                part: [getattr(Spread.median_of(gaps[name]), part) for name in (ON, OFF)]
                for part in ("p50", "p95", "p99")
            },
        ),
    ]
    report.data = {"answers_per_second": rates, "cpu_ms": costs, "longest_gap_ms": longest}
    return report


def _saturated(testbed: Testbed, server: Server, url: str, answers: int) -> tuple[float, float]:
    """Answers per second of a full core, and processor milliseconds per answer."""
    # Warm up, since the tracer creates its client with the first trace of the process.
    run_load(testbed.ask_service(url, SATURATING_USERS, 200, SHORT), testbed.aws_environment)
    before = server.cpu_seconds()
    result = run_load(testbed.ask_service(url, SATURATING_USERS, answers, SHORT), testbed.aws_environment)
    count = len(result.total_ms)
    return count / result.seconds, (server.cpu_seconds() - before) * 1000 / (count + SATURATING_USERS)


def _medians(values: dict[str, list[float]]) -> list[float]:
    return [median(values[ON]), median(values[OFF])]
