"""What the service adds to a call of the model, and how many calls a core carries, beside LiteLLM and a baseline.

Retrieval is off; authentication, rate limits, logging, metrics and tracing are on. What a gateway adds is its total
minus that of a direct InvokeEndpointWithResponseStream through the same client library, percentile by percentile. The
direct caller runs on the server's core, where the gateway's client runs.
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
from benchmarks.world import World, stand_up

DIRECT, SERVICE, LITELLM, LITELLM_OPENAI = "direct", "service", "LiteLLM (SageMaker)", "LiteLLM (OpenAI upstream)"
HANDBOOK = "Handbook-shaped baseline"
COLUMNS = (
    *("users", "system", "total p50", "p95", "p99", "added p50", "p95", "p99"),
    *("TTFT p50", "answers/s", "CPU ms", "tokens lost", "failed"),
)
COMPARED_USERS = 64
"""Users of the comparison with the Handbook-shaped baseline."""
SUSTAINED = 0.95
"""A load is sustained when this share of the direct caller's requests/s comes through."""
WANTED_ADDED_MS = {"p50": 2.0, "p95": 8.0, "p99": 13.0}


@dataclass
class Runs:
    """Repeated runs of one system at one number of users.

    Attributes:
        cpu_ms: processor time of the server per answer; nothing for the direct caller.
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
        """Answers per second of processor time."""
        return 1000 / median(self.cpu_ms)


Asker = tuple[Callable[[int, int], Plan], Server | None]


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: a system does not start or answers wrongly.
    """
    litellm = environment.ensure(effort.say)
    with stand_up() as world, ExitStack() as stack:
        service, url = stack.enter_context(world.service())
        proxy, proxy_url = stack.enter_context(litellm_proxy.serve(world, litellm, "sagemaker"))
        spared, spared_url = stack.enter_context(litellm_proxy.serve(world, litellm, "openai"))
        askers: dict[str, Asker] = {
            DIRECT: (world.ask_directly, None),
            SERVICE: (lambda users, count: world.ask_service(url, users, count), service),
            LITELLM: (lambda users, count: litellm_proxy.ask(world, proxy_url, users, count), proxy),
            LITELLM_OPENAI: (lambda users, count: litellm_proxy.ask(world, spared_url, users, count), spared),
        }
        found: dict[int, dict[str, Runs]] = {}
        for users, count in effort.answers.items():
            found[users] = {name: Runs() for name in askers}
            for number in range(effort.rounds):
                for name, asker in askers.items():
                    effort.say(f"{users} users, round {number + 1} of {effort.rounds}: {name}")
                    # A proxy that cannot keep up would take minutes for the answers of one that can.
                    share = 4 if asker[1] in (proxy, spared) and users > 1 else 1
                    _measure(world, asker, users, max(users, count // share), found[users][name])
        with handbook.serve(world) as (server, handbook_url):
            effort.say(f"{COMPARED_USERS} users: {HANDBOOK}")
            slow = Runs()
            plan = handbook.ask(handbook_url, COMPARED_USERS, effort.slow_answers)
            _measure(world, (lambda *_: plan, server), COMPARED_USERS, effort.slow_answers, slow)
    return _report(found, slow)


def _measure(world: World, asker: Asker, users: int, count: int, runs: Runs) -> None:
    ask, server = asker
    plan = ask(users, count)
    lossy = server is not None and server.name.startswith("litellm")
    # LiteLLM leaves tokens out when several arrive together; it is measured all the same, and what it lost is told.
    plan = replace(plan, tokens=0) if lossy else plan
    before = server.cpu_seconds() if server else 0.0
    where = server_core() if server is None else None
    result = run_load(plan, world.aws_environment, where, 0.5 if lossy else 0.01)
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


def added(runs: dict[str, Runs], name: str) -> Spread:
    """What a system adds to the direct call: the median over rounds, each round paired with its own direct run."""
    pairs = zip(runs[name].total, runs[DIRECT].total, strict=True)
    return Spread.median_of([total.minus(direct) for total, direct in pairs])


def sustained(found: dict[int, dict[str, Runs]]) -> int:
    """The highest number of users whose requests all come through at the pace of the direct caller."""
    kept = [
        users for users, runs in found.items() if median(runs[SERVICE].rate) >= SUSTAINED * median(runs[DIRECT].rate)
    ]
    return max(kept, default=min(found))


def _report(found: dict[int, dict[str, Runs]], slow: Runs) -> Report:
    report = Report(
        "gateway",
        "Gateway overhead and throughput (stub: first token after 50 ms, 100 tokens, 10 ms apart)",
        COLUMNS,
    )
    for users, runs in found.items():
        for name, one in runs.items():
            total, more = Spread.median_of(one.total), added(runs, name)
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
    total = Spread.median_of(slow.total)
    cost = ms(median(slow.cpu_ms))
    report.rows.append(
        (
            str(COMPARED_USERS),
            HANDBOOK,
            *_spread(total),
            "",
            "",
            "",
            "",
            f"{median(slow.rate):.2f}",
            cost,
            "",
            f"{median(slow.failed):.1%}",
        )
    )
    report.goals = _goals(found, slow)
    report.charts = _charts(found, slow)
    report.notes = [
        f"Highest of these loads that one process sustains: {sustained(found)} users.",
        "A direct caller's own TTFT holds what stub, runtime and client library take.",
        f"Load average of the machine at the end: {load_average():.1f}.",
    ]
    report.data = {
        "runs": {str(users): {name: asdict(one) for name, one in runs.items()} for users, runs in found.items()},
        "handbook": asdict(slow),
    }
    return report


def _goals(found: dict[int, dict[str, Runs]], slow: Runs) -> list[Goal]:
    users = sustained(found)
    more = added(found[users], SERVICE)
    goals = [
        Goal(f"added at {users} users, {name}", getattr(more, name), wanted, "at most", "ms")
        for name, wanted in WANTED_ADDED_MS.items()
    ]
    for count, runs in found.items():
        # The proxy's better way decides.
        theirs = min(added(runs, LITELLM).p50, added(runs, LITELLM_OPENAI).p50)
        ours = added(runs, SERVICE).p50
        goals.append(Goal(f"added p50 against LiteLLM's at {count} users", ours / theirs, 0.5, "at most", "x"))
    most = found[max(found)]
    theirs = max(most[LITELLM].per_core(), most[LITELLM_OPENAI].per_core())
    goals.append(Goal("answers per core against LiteLLM", most[SERVICE].per_core() / theirs, 3, "at least", "x"))
    if COMPARED_USERS in found:
        ratio = median(found[COMPARED_USERS][SERVICE].rate) / median(slow.rate)
        goals.append(Goal(f"answers/s against the {HANDBOOK}", ratio, 25, "at least", "x"))
    return goals


def _charts(found: dict[int, dict[str, Runs]], slow: Runs) -> list[Chart]:
    gateways = (SERVICE, LITELLM, LITELLM_OPENAI)
    users = [str(count) for count in found]
    charts = [
        Chart(
            f"Added to a direct call, {name}",
            "bars",
            "users",
            "ms",
            users,
            {gateway: [getattr(added(runs, gateway), name) for runs in found.values()] for gateway in gateways},
            log=True,
        )
        for name in ("p50", "p99")
    ]
    most = found[max(found)]
    per_core = [*(most[name].per_core() for name in gateways), slow.per_core()]
    rates = [*(median(most[name].rate) for name in gateways), median(slow.rate)]
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
