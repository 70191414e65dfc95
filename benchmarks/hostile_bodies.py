"""How long `/healthz` takes while a caller with a key sends bodies that are made to stop the service.

A load balancer replaces a task that does not answer its health check. The same service is asked without and with the
bodies, in turn; see `hostile_sender` for what they are.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from urllib.parse import urlsplit

from benchmarks.effort import Effort
from benchmarks.hostile_sender import BODIES_PER_SECOND, KEY_VARIABLE
from benchmarks.measure import Chart, Goal, Report, Spread, ms
from benchmarks.processes import WORK, BenchmarkError, other_cores, pinned, python
from benchmarks.stub_llm import SHORT
from benchmarks.testbed import Testbed, start_testbed
from localcloud.process import REPOSITORY, base_environment

LOOK_SECONDS = 0.05
"""Time between two looks at the health: each tells how long the event loop was away."""
SECONDS_PER_ROUND = 20.0
GOAL_MS = 100.0
QUIET, ATTACKED = "quiet", "attacked"


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: a server does not start, or the health was not answered.
    """
    waits: dict[str, list[list[float]]] = {QUIET: [], ATTACKED: []}
    seen: Counter[str] = Counter()
    rates = []
    with start_testbed(opik=False) as testbed, testbed.service(SHORT) as (_, url):
        _Attack(testbed, url, 2.0).result()  # warm up: connections and pools reach their size
        for number in range(effort.rounds):
            effort.progress(f"round {number + 1} of {effort.rounds}: without and with hostile bodies")
            waits[QUIET].append(_health_ms(url, _after(SECONDS_PER_ROUND)))
            attack = _Attack(testbed, url, SECONDS_PER_ROUND)
            waits[ATTACKED].append(_health_ms(url, attack.is_over))
            statuses, seconds = attack.result()
            seen.update(statuses)
            rates.append(sum(statuses.values()) / seconds)
    return _report(waits, seen, min(rates))


class _Attack:
    """The sender, as a process on the other cores."""

    def __init__(self, testbed: Testbed, url: str, seconds: float) -> None:
        command = pinned(python("benchmarks.hostile_sender", url, f"{seconds:g}"), other_cores())
        environment = {**base_environment(WORK), KEY_VARIABLE: testbed.key}
        self._process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)

    def is_over(self) -> bool:
        """Whether all bodies were answered."""
        return self._process.poll() is not None

    def result(self) -> tuple[dict[str, int], float]:
        """Numbers of answers by status, and the seconds until the last of them."""
        out, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise BenchmarkError("The hostile bodies cannot be sent.")
        found = json.loads(out)
        return found["seen"], found["seconds"]


def _after(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _health_ms(url: str, is_over: Callable[[], bool]) -> list[float]:
    """Milliseconds of each look at the health until something is over, each over a connection of its own."""
    found: list[float] = []
    while not is_over():
        began = time.monotonic()
        try:
            with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
                connection.request("GET", "/healthz")
                status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise BenchmarkError(f"The health check was not answered: {error!r}") from None
        if status != 200:
            raise BenchmarkError(f"The health check was answered with {status}.")
        found.append((time.monotonic() - began) * 1000)
        time.sleep(LOOK_SECONDS)
    return found


def _report(waits: dict[str, list[list[float]]], seen: Counter[str], lowest_rate: float) -> Report:
    spreads = {name: Spread.median_of([Spread.of(each) for each in rounds]) for name, rounds in waits.items()}
    longest = {name: max(max(each) for each in rounds) for name, rounds in waits.items()}
    report = Report(
        "hostile_bodies",
        f"/healthz while {BODIES_PER_SECOND} hostile bodies a second arrive",
        ("service", "p50 ms", "p95", "p99", "longest"),
    )
    report.rows = [
        (name, ms(spread.p50), ms(spread.p95), ms(spread.p99), ms(longest[name])) for name, spread in spreads.items()
    ]
    report.goals = [
        Goal("/healthz p99 under hostile bodies", spreads[ATTACKED].p99, GOAL_MS, unit="ms"),
        Goal("bodies answered a second", lowest_rate, 0.95 * BODIES_PER_SECOND, "at least", ""),
    ]
    ratio = spreads[ATTACKED].p99 / spreads[QUIET].p99
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(seen.items()))
    report.notes = [f"p99 attacked against quiet: {ratio:.1f}x.", f"Bodies by status: {statuses}."]
    series: dict[str, Sequence[float]] = {
        name: [spread.p50, spread.p95, spread.p99, longest[name]] for name, spread in spreads.items()
    }
    report.charts = [Chart("Health check", "bars", "", "ms", ["p50", "p95", "p99", "longest"], series, log=True)]
    report.data = {"waits_ms": waits, "seen": dict(seen)}
    return report
