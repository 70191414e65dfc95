"""Processor time of the service's SageMaker client, against the same calls through boto3 on a pool of threads."""

from __future__ import annotations

from dataclasses import asdict, replace
from statistics import median

from benchmarks.effort import Effort
from benchmarks.gateway import Runs
from benchmarks.measure import Chart, Goal, Report, Spread, ms
from benchmarks.processes import run_load, server_core
from benchmarks.stub_llm import STANDARD
from benchmarks.testbed import start_testbed

OURS, THREADED = "aiohttp, own frame decoder", "boto3 on threads"
KINDS = {OURS: "direct", THREADED: "threaded"}


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: something does not start or answers wrongly.
    """
    found: dict[int, dict[str, Runs]] = {}
    with start_testbed(opik=False) as testbed:
        for users, count in effort.answers.items():
            found[users] = {name: Runs() for name in KINDS}
            for number in range(effort.rounds):
                for name, kind in KINDS.items():
                    effort.progress(f"{users} users, round {number + 1} of {effort.rounds}: {name}")
                    plan = replace(testbed.ask_directly(users, count), kind=kind)
                    result = run_load(plan, testbed.aws_environment, server_core())
                    runs = found[users][name]
                    runs.total.append(Spread.of(result.total_ms))
                    runs.ttft.append(Spread.of(result.ttft_ms))
                    runs.rate.append(len(result.total_ms) / result.seconds)
                    runs.cpu_ms.append(result.cpu_seconds * 1000 / len(result.total_ms))
    report = Report(
        "llm_client",
        "SageMaker client of the service against boto3 with a thread per stream",
        ("users", "client", "TTFT p50 ms", "p95", "p99", "total p50 ms", "CPU ms/answer", "tokens/s per core"),
    )
    for users, clients in found.items():
        for name, runs in clients.items():
            first = Spread.median_of(runs.ttft)
            report.rows.append(
                (
                    *(str(users), name, ms(first.p50), ms(first.p95), ms(first.p99)),
                    ms(Spread.median_of(runs.total).p50),
                    ms(median(runs.cpu_ms)),
                    f"{runs.per_core() * STANDARD.tokens:,.0f}",
                )
            )
    most = found[max(found)]
    ratio = most[OURS].per_core() / most[THREADED].per_core()
    report.goals = [Goal(f"tokens per core at {max(found)} users, against {THREADED}", ratio, 2, "at least", "x")]
    users_axis = [str(users) for users in found]
    report.charts = [
        Chart(
            "Tokens per second of a core",
            "bars",
            "users",
            "tokens/s",
            users_axis,
            {name: [runs[name].per_core() * STANDARD.tokens for runs in found.values()] for name in KINDS},
        )
    ]
    report.data = {str(users): {name: asdict(one) for name, one in runs.items()} for users, runs in found.items()}
    return report
