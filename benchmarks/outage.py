"""Drill: Opik is away under load. What callers, memory and disk see of it, and whether what was promised arrives.

For each way of being away a fresh service answers over the example corpus at 16 users: a while with Opik there, then
with Opik away, then with Opik back, which gets everything that waited meanwhile. Promised are the traces of answers
that were sampled for evaluation, that failed (their callers left), and that callers wanted traced.
"""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx

from benchmarks.effort import Effort
from benchmarks.gate import Fault, Gate
from benchmarks.load import ANSWER_SECONDS, LoadResult
from benchmarks.measure import Chart, Goal, Report, Spread, ms
from benchmarks.processes import Server, run_load
from benchmarks.stub_llm import STANDARD
from benchmarks.world import QUESTION, REGION, World, stand_up
from services.common.spill import MAX_SPILL_BYTES

USERS = 16
ASKED = {"query": QUESTION, "stream": True}
SAMPLE_RATE = 0.5
"""The default, ten times that of the stage prod: ten minutes promise more traces than memory holds."""
LONGEST_SIDE_SECONDS = 60.0
"""Before and after, the load lasts as long as the outage, but no longer than this."""
ARRIVED_SECONDS = 120.0
ASIDE_SECONDS = 1.0
PAGE = 500
MAX_GROWTH_MB = 64.0
"""2,000 traces wait in memory at most; 32 KiB each are a prompt with its documents, an answer and nine spans."""
MAX_DISK_GROWTH_MB = 2 * MAX_SPILL_BYTES / 2**20
"""The file of waiting traces and that of waiting samples, beyond the log."""
BEFORE, AWAY, BACK = "before", "away", "back"


@dataclass
class Phase:
    """One stretch of load."""

    result: LoadResult
    rss_mb: float
    disk_bytes: int

    @property
    def answers(self) -> int:
        """How many were measured."""
        return len(self.result.total_ms)

    @property
    def wrong(self) -> int:
        """Answers that did not come, or not whole."""
        return sum(self.result.errors.values())


@dataclass
class Outage:
    """One way of being away.

    Attributes:
        sampled, failed, wanted: ids of the traces that were promised, by reason.
        missing: promised traces that did not arrive.
        others: traces that nobody insisted on and that arrived all the same.
        unanswered: what went wrong with questions beside the load.
        late_seconds: from the end of the load with Opik back until all that was promised was there.
        highest_rss_mb: of all looks, one a second.
    """

    fault: Fault
    phases: dict[str, Phase] = field(default_factory=dict)
    sampled: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    others: int = 0
    unanswered: list[str] = field(default_factory=list)
    late_seconds: float = 0.0
    highest_rss_mb: float = 0.0

    @property
    def promised(self) -> set[str]:
        """Every trace that must arrive."""
        return self.sampled | self.failed | self.wanted

    def growth_mb(self) -> float:
        """Highest resident memory above that before the outage, in MiB."""
        return self.highest_rss_mb - self.phases[BEFORE].rss_mb


def run(effort: Effort) -> Report:
    """Carry out the drill.

    Raises:
        BenchmarkError: something does not start, or nothing is answered.
    """
    outages = []
    with stand_up(qdrant=True) as world:
        for fault in effort.outage_faults:
            outages.append(_outage(world, fault, effort))
    return _report(outages, effort.outage_seconds)


def _outage(world: World, fault: Fault, effort: Effort) -> Outage:
    found = Outage(fault)
    older = _arrived(world)
    seconds = {AWAY: effort.outage_seconds}
    sides = min(effort.outage_seconds, LONGEST_SIDE_SECONDS)
    with Gate(urlsplit(world.opik_url).port or 80) as gate:
        environment = {"OPIK_URL_OVERRIDE": f"{gate.url}/api", "SAMPLE_RATE": f"{SAMPLE_RATE:g}"}
        with world.service(name=f"service-{fault}", changes=environment) as (server, url):
            _load(world, url, sides / 4)  # connections, pools and the tracer's own have their size afterwards
            for phase in (BEFORE, AWAY, BACK):
                effort.say(f"Opik {fault}: {phase}, {seconds.get(phase, sides):g} s")
                gate.switch(fault if phase == AWAY else None)
                with _aside(world, server, url, found):
                    used = _disk_bytes(server)
                    result = _load(world, url, seconds.get(phase, sides))
                    found.phases[phase] = Phase(result, server.rss_mb(), _disk_bytes(server) - used)
            found.sampled = _sampled(world)
            _await_promised(world, found, older)
            effort.say(f"Opik {fault}: {len(found.promised)} promised, {len(found.missing)} missing")
    return found


def _load(world: World, url: str, seconds: float) -> LoadResult:
    """Ask for so long; wrong answers are counted."""
    most = max(USERS, int(USERS * seconds * 1000 / STANDARD.total_ms))
    plan = replace(world.ask_service(url, USERS, most), body=ASKED, seconds=seconds)
    return run_load(plan, world.aws_environment, most_wrong=1)


@contextmanager
def _aside(world: World, server: Server, url: str, found: Outage) -> Iterator[None]:
    """Beside the load: a caller who wants his answer traced, one who leaves in the middle, and a look at the memory."""
    over = threading.Event()

    def watch() -> None:
        headers = {"Authorization": f"Bearer {world.key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False) as client:
            while not over.wait(ASIDE_SECONDS):
                try:
                    found.wanted.add(_ask(client, {"X-Debug-Trace": "1"}, leave=False))
                    found.failed.add(_ask(client, {}, leave=True))
                except httpx.HTTPError as error:
                    found.unanswered.append(repr(error))
                found.highest_rss_mb = max(found.highest_rss_mb, server.rss_mb())

    thread = threading.Thread(target=watch, name="aside")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _ask(client: httpx.Client, headers: dict[str, str], *, leave: bool) -> str:
    """The answer's trace id."""
    with client.stream("POST", "/rag", json=ASKED, headers=headers) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if leave and line == "event: token":
                break
        return str(answer.headers["X-Trace-Id"])


def _sampled(world: World) -> set[str]:
    """The traces of all samples in the queue, which is empty afterwards."""
    client: Any = boto3.client(
        "sqs",
        endpoint_url=world.aws_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
    )
    found: set[str] = set()
    while messages := client.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get(
        "Messages", []
    ):
        found |= {str(json.loads(message["Body"])["trace_id"]) for message in messages}
        entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
        client.delete_message_batch(QueueUrl=world.queue_url, Entries=entries)
    return found


def _await_promised(world: World, found: Outage, older: set[str]) -> None:
    started = time.monotonic()
    while True:
        there = _arrived(world)
        found.missing = found.promised - there
        found.late_seconds = time.monotonic() - started
        if not found.missing or found.late_seconds > ARRIVED_SECONDS:
            found.others = len(there - found.promised - older)
            return
        time.sleep(1)


def _arrived(world: World) -> set[str]:
    """The ids of all traces that the collector shows."""
    found: set[str] = set()
    last: str | None = None
    while True:
        more = {"last_retrieved_id": last} if last else {}
        answer = httpx.post(
            f"{world.opik_url}/api/v1/private/traces/search",
            json={"project_name": "llm-twin", "limit": PAGE, "truncate": True, **more},
            timeout=60,
            trust_env=False,
        )
        answer.raise_for_status()
        page = [str(json.loads(line)["id"]) for line in answer.text.splitlines() if line.strip()]
        found.update(page)
        if len(page) < PAGE:
            return found
        last = page[-1]


def _disk_bytes(server: Server) -> int:
    """Bytes in the files that the service holds open: its log, and what it spilled; 0 on a system without /proc."""
    sizes: dict[tuple[int, int], int] = {}
    for process in (server.process, *server.process.children(recursive=True)):
        for link in Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                known = link.stat()
            except OSError:
                continue  # closed in between
            if stat.S_ISREG(known.st_mode):
                sizes[known.st_dev, known.st_ino] = known.st_size
    return sum(sizes.values())


def _report(outages: list[Outage], seconds: float) -> Report:
    report = Report(
        "outage",
        f"Opik away for {seconds:g} s at {USERS} users",
        (
            "Opik",
            "answers",
            "wrong",
            "total p50 ms",
            "p95",
            "p99",
            "TTFT p99",
            "gap p99",
            "resident MiB",
            "disk B/answer",
        ),
    )
    for outage in outages:
        for name, phase in outage.phases.items():
            total, gap = Spread.of(phase.result.total_ms), Spread.of(phase.result.gap_ms)
            report.rows.append(
                (
                    f"{outage.fault}, {name}",
                    f"{phase.answers:,}",
                    str(phase.wrong),
                    *(ms(total.p50), ms(total.p95), ms(total.p99)),
                    ms(Spread.of(phase.result.ttft_ms).p99),
                    ms(gap.p99),
                    f"{phase.rss_mb:.1f}",
                    f"{phase.disk_bytes / phase.answers:.0f}",
                )
            )
        report.goals += _goals(outage)
        report.notes.append(
            f"{outage.fault}: promised {len(outage.promised)} traces ({len(outage.sampled)} sampled, "
            f"{len(outage.failed)} failed, {len(outage.wanted)} wanted), arrived "
            f"{len(outage.promised) - len(outage.missing)} no later than {outage.late_seconds:.0f} s after the load; "
            f"{outage.others} others arrived as well; highest resident memory {outage.highest_rss_mb:.1f} MiB"
        )
    report.charts = [
        _chart("Answer, p50", outages, lambda phase: Spread.of(phase.result.total_ms).p50, "ms"),
        _chart("Answer, p99", outages, lambda phase: Spread.of(phase.result.total_ms).p99, "ms"),
        _chart("Resident memory at the end", outages, lambda phase: phase.rss_mb, "MiB"),
    ]
    report.data = {
        outage.fault: {
            "promised": {kind: len(getattr(outage, kind)) for kind in ("sampled", "failed", "wanted")},
            "missing": sorted(outage.missing),
            "others": outage.others,
            "errors": {name: phase.result.errors for name, phase in outage.phases.items()},
            "unanswered": outage.unanswered,
            "late_seconds": outage.late_seconds,
            "highest_rss_mib": outage.highest_rss_mb,
            "total_ms": {name: phase.result.total_ms for name, phase in outage.phases.items()},
        }
        for outage in outages
    }
    return report


def _goals(outage: Outage) -> list[Goal]:
    with_, without = (Spread.of(outage.phases[name].result.total_ms) for name in (AWAY, BEFORE))
    wrong = outage.phases[AWAY].wrong + len(outage.unanswered)
    arrived = 1 - len(outage.missing) / len(outage.promised)
    per_answer = [outage.phases[name].disk_bytes / outage.phases[name].answers for name in (AWAY, BEFORE)]
    spilled_mb = (per_answer[0] - per_answer[1]) * outage.phases[AWAY].answers / 2**20
    return [
        Goal(f"{outage.fault}: wrong answers and questions without one", wrong, 0, unit=""),
        Goal(f"{outage.fault}: answer p50 with the fault against without", with_.p50 / without.p50, 1.02),
        Goal(f"{outage.fault}: answer p99 with the fault against without", with_.p99 / without.p99, 1.1),
        Goal(f"{outage.fault}: resident memory grows by", outage.growth_mb(), MAX_GROWTH_MB, unit="MiB"),
        Goal(f"{outage.fault}: disk beyond the log grows by", spilled_mb, MAX_DISK_GROWTH_MB, unit="MiB"),
        Goal(f"{outage.fault}: share of the promised traces that arrived", arrived, 1, "at least", ""),
    ]


def _chart(title: str, outages: list[Outage], value: Callable[[Phase], float], unit: str) -> Chart:
    series: dict[str, Sequence[float]] = {
        name: [value(outage.phases[name]) for outage in outages] for name in (BEFORE, AWAY, BACK)
    }
    return Chart(title, "bars", "Opik", unit, [outage.fault for outage in outages], series)
