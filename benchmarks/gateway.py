"""Latency that the service adds to a model call, and answers per core, beside LiteLLM and a baseline.

Retrieval is off; authentication, rate limits, logging, metrics and tracing are on. The added latency of a gateway is
its total minus that of a direct InvokeEndpointWithResponseStream through the same client library, percentile by
percentile. The direct caller runs on the server's core, where the gateway's client runs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from statistics import median

from benchmarks import environment
from benchmarks.baselines import handbook, litellm_proxy
from benchmarks.effort import Effort
from benchmarks.load import Plan
from benchmarks.measure import Chart, Goal, Report, Spread, load_average, ms
from benchmarks.processes import Server, run_load, server_core
from benchmarks.stub_llm import STANDARD
from benchmarks.testbed import Testbed, start_testbed

DIRECT, SERVICE, LITELLM, LITELLM_OPENAI = "direct", "service", "LiteLLM (SageMaker)", "LiteLLM (OpenAI upstream)"
HANDBOOK = "Handbook-shaped baseline"
COLUMNS = (
    *("users", "system", "total p50 ms", "p95", "p99", "added p50 ms", "p95", "p99"),
    *("TTFT p50 ms", "answers/s", "CPU ms/answer", "tokens lost", "failed"),
)
COMPARED_USERS = 64
"""Number of users in the comparison with the Handbook-shaped baseline."""
SUSTAINED = 0.95
"""A load is sustained when the service reaches this share of the direct caller's answers/s."""
WANTED_ADDED_MS = {"p50": 2.0, "p95": 8.0, "p99": 13.0}


@dataclass
class Runs:
    """Repeated runs of one system at one number of users.

    Attributes:
        total: time from request to complete answer, in ms, per run.
        ttft: time from request to first token, in ms, per run.
        rate: answers per second.
        cpu_ms: processor time of the server per answer; empty for the direct caller.
        lost: share of the stub's tokens that never reached the caller of a complete answer.
        failed: share of the requests without a complete answer.
    """

    total: list[Spread] = field(default_factory=list)
    ttft: list[Spread] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)

    def per_core(self) -> float:
        """Answers per second of processor time (median over runs)."""
        return 1000 / median(self.cpu_ms)


Workload = tuple[Callable[[int, int], Plan], Server | None]
"""Plan from users and requests; the server whose processor time is measured, None for the direct caller."""


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: a system does not start or answers wrongly.
    """
    litellm = environment.ensure(effort.progress)
    with start_testbed() as testbed, ExitStack() as stack:
        service, url = stack.enter_context(testbed.service())
        proxy, proxy_url = stack.enter_context(litellm_proxy.serve(testbed, litellm, "sagemaker"))
        openai_proxy, openai_url = stack.enter_context(litellm_proxy.serve(testbed, litellm, "openai"))
        workloads: dict[str, Workload] = {
            DIRECT: (testbed.ask_directly, None),
            SERVICE: (lambda users, count: testbed.ask_service(url, users, count), service),
            LITELLM: (lambda users, count: litellm_proxy.ask(testbed, proxy_url, users, count), proxy),
            LITELLM_OPENAI: (lambda users, count: litellm_proxy.ask(testbed, openai_url, users, count), openai_proxy),
        }
        found: dict[int, dict[str, Runs]] = {}
        for users, count in effort.answers.items():
            found[users] = {name: Runs() for name in workloads}
            for number in range(effort.rounds):
                for name, workload in workloads.items():
                    effort.progress(f"{users} users, round {number + 1} of {effort.rounds}: {name}")
                    # Fewer answers of the proxies, which take minutes for the number that the service answers.
                    share = 4 if workload[1] in (proxy, openai_proxy) and users > 1 else 1
                    _measure(testbed, workload, users, max(users, count // share), found[users][name])
        with handbook.serve(testbed) as (server, handbook_url):
            effort.progress(f"{COMPARED_USERS} users: {HANDBOOK}")
            baseline = Runs()
            plan = handbook.ask(handbook_url, COMPARED_USERS, effort.slow_answers)
            _measure(testbed, (lambda *_: plan, server), COMPARED_USERS, effort.slow_answers, baseline)
    return _report(found, baseline)


def _measure(testbed: Testbed, workload: Workload, users: int, count: int, runs: Runs) -> None:
    ask, server = workload
    plan = ask(users, count)
    lossy = server is not None and server.name.startswith("litellm")
    # LiteLLM drops tokens when several arrive together; its losses are a column of the table.
    plan = replace(plan, tokens=0) if lossy else plan
    before = server.cpu_seconds() if server else 0.0
    where = server_core() if server is None else None
    result = run_load(plan, testbed.aws_environment, where, 0.5 if lossy else 0.01)
    answers = len(result.total_ms)
    runs.total.append(Spread.of(result.total_ms))
    if result.ttft_ms:
        runs.ttft.append(Spread.of(result.ttft_ms))
        runs.lost.append(1 - (len(result.gap_ms) + answers) / (answers * STANDARD.tokens))
    runs.rate.append(answers / result.seconds)
    runs.failed.append(1 - answers / count)
    if server:
        served = answers + (users if plan.warm else 0)
        runs.cpu_ms.append((server.cpu_seconds() - before) * 1000 / served)


def added_latency(runs: dict[str, Runs], name: str) -> Spread:
    """Latency in ms that a system adds to the direct call: median over rounds of the difference within each round."""
    pairs = zip(runs[name].total, runs[DIRECT].total, strict=True)
    return Spread.median_of([total.minus(direct) for total, direct in pairs])


def sustained_users(found: dict[int, dict[str, Runs]]) -> int:
    """Largest measured number of users that the service sustains (`SUSTAINED`), or the smallest one."""
    kept = [
        users for users, runs in found.items() if median(runs[SERVICE].rate) >= SUSTAINED * median(runs[DIRECT].rate)
    ]
    return max(kept, default=min(found))


def _report(found: dict[int, dict[str, Runs]], baseline: Runs) -> Report:
    report = Report(
        "gateway",
        "Gateway overhead and throughput (stub: first token after 50 ms, 100 tokens, 10 ms apart)",
        COLUMNS,
    )
    for users, runs in found.items():
        for name, one in runs.items():
            total, more = Spread.median_of(one.total), added_latency(runs, name)
            cost = ms(median(one.cpu_ms)) if one.cpu_ms else ""
            report.rows.append(
                (
                    str(users),
                    name,
                    *_spread(total),
                    *(_spread(more) if name != DIRECT else ("", "", "")),
                    ms(Spread.median_of(one.ttft).p50),
                    f"{median(one.rate):.1f}",
                    cost,
                    f"{median(one.lost):.1%}",
                    f"{median(one.failed):.1%}",
                )
            )
    total = Spread.median_of(baseline.total)
    cost = ms(median(baseline.cpu_ms))
    report.rows.append(
        (
            str(COMPARED_USERS),
            HANDBOOK,
            *_spread(total),
            "",
            "",
            "",
            "",
            f"{median(baseline.rate):.2f}",
            cost,
            "",
            f"{median(baseline.failed):.1%}",
        )
    )
    report.goals = _goals(found, baseline)
    report.charts = _charts(found, baseline)
    report.notes = [
        f"Largest of these loads that one process sustains: {sustained_users(found)} users.",
        "The TTFT of the direct caller is the time of stub, runtime and client library.",
        f"Load average of the machine at the end: {load_average():.1f}.",
    ]
    report.data = {
        "runs": {str(users): {name: asdict(one) for name, one in runs.items()} for users, runs in found.items()},
        "handbook": asdict(baseline),
    }
    return report


def _goals(found: dict[int, dict[str, Runs]], baseline: Runs) -> list[Goal]:
    users = sustained_users(found)
    more = added_latency(found[users], SERVICE)
    goals = [
        Goal(f"added latency at {users} users, {name}", getattr(more, name), wanted, "at most", "ms")
        for name, wanted in WANTED_ADDED_MS.items()
    ]
    for count, runs in found.items():
        # The faster of the two proxies decides.
        litellm = min(added_latency(runs, LITELLM).p50, added_latency(runs, LITELLM_OPENAI).p50)
        service = added_latency(runs, SERVICE).p50
        goals.append(
            Goal(f"added latency p50 against LiteLLM at {count} users", service / litellm, 0.5, "at most", "x")
        )
    most = found[max(found)]
    litellm = max(most[LITELLM].per_core(), most[LITELLM_OPENAI].per_core())
    goals.append(Goal("answers per core against LiteLLM", most[SERVICE].per_core() / litellm, 3, "at least", "x"))
    if COMPARED_USERS in found:
        ratio = median(found[COMPARED_USERS][SERVICE].rate) / median(baseline.rate)
        goals.append(Goal(f"answers/s against the {HANDBOOK}", ratio, 25, "at least", "x"))
    return goals


def _charts(found: dict[int, dict[str, Runs]], baseline: Runs) -> list[Chart]:
    gateways = (SERVICE, LITELLM, LITELLM_OPENAI)
    users = [str(count) for count in found]
    charts = [
        Chart(
            f"Latency added to a direct call, {name}",
            "bars",
            "users",
            "ms",
            users,
            {gateway: [getattr(added_latency(runs, gateway), name) for runs in found.values()] for gateway in gateways},
            log=True,
        )
        for name in ("p50", "p99")
    ]
    most = found[max(found)]
    per_core = [*(most[name].per_core() for name in gateways), baseline.per_core()]
    rates = [*(median(most[name].rate) for name in gateways), median(baseline.rate)]
    systems = [*gateways, HANDBOOK]
    charts.append(
        Chart(
            f"Answers of 100 tokens at {max(found)} users",
            "bars",
            "",
            "per second",
            systems,
            {"per second of CPU": per_core, "per second": rates},
            log=True,
        )
    )
    return charts


def _spread(spread: Spread) -> tuple[str, str, str]:
    return ms(spread.p50), ms(spread.p95), ms(spread.p99)
