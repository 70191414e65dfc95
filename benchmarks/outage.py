"""Drill: Opik is unavailable under load. Latency, memory and disk of the service, and whether promised traces arrive.

For each fault a fresh service answers over the example corpus at 16 users: with Opik available, then with the fault,
then with Opik available again, which gets every trace that waited. Promised are the traces of answers that were sampled
for evaluation, that failed (their callers disconnected), and that callers requested.
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
from benchmarks.fault_proxy import Fault, FaultProxy
from benchmarks.load import ANSWER_SECONDS, LoadResult
from benchmarks.measure import Chart, Goal, Report, Spread, ms
from benchmarks.processes import Server, run_load
from benchmarks.stub_llm import STANDARD
from benchmarks.testbed import CREDENTIALS, QUESTION, Testbed, start_testbed
from services.common.spill import MAX_SPILL_BYTES

USERS = 16
ASKED = {"query": QUESTION, "stream": True}
SAMPLE_RATE = 0.5
"""Ten times that of the stage prod, so that ten minutes promise more traces than memory holds."""
LONGEST_SIDE_SECONDS = 60.0
"""Longest load before and after the outage; it is as long as the outage when that is shorter."""
ARRIVAL_SECONDS = 120.0
"""Time after the load by which promised traces must have arrived."""
SIDE_CALL_SECONDS = 1.0
"""Time between two requests beside the load."""
PAGE = 500
"""Traces per request to the collector."""
MAX_GROWTH_MB = 64.0
"""2,000 traces wait in memory at most; 32 KiB each are a prompt with its documents, an answer and nine spans."""
MAX_DISK_GROWTH_MB = 2 * MAX_SPILL_BYTES / 2**20
"""The file of waiting traces and that of waiting samples, beyond the log."""
BEFORE, DURING, AFTER = "before", "during", "after"
COLUMNS = (
    *("Opik", "answers", "failed", "total p50 ms", "p95", "p99"),
    *("TTFT p99 ms", "token gap p99 ms", "resident MiB", "disk B/answer"),
)


@dataclass
class Phase:
    """One phase of load.

    Attributes:
        result: measured values.
        rss_mb: resident memory of the service at the end, in MiB.
        disk_bytes: growth of the files that the service holds open.
    """

    result: LoadResult
    rss_mb: float
    disk_bytes: int

    @property
    def answers(self) -> int:
        """Number of correct answers."""
        return len(self.result.total_ms)

    @property
    def failed(self) -> int:
        """Number of answers that did not arrive, or not completely."""
        return sum(self.result.errors.values())


@dataclass
class Outage:
    """Results with one fault.

    Attributes:
        fault: how Opik was unavailable.
        phases: results by phase.
        sampled, failed, requested: ids of the promised traces, by reason.
        missing: ids of promised traces that did not arrive.
        others: number of traces that arrived without having been promised.
        unanswered: errors of requests beside the load.
        late_seconds: time from the end of the last load until all promised traces had arrived.
        highest_rss_mb: highest resident memory of the service in MiB, measured once per second.
    """

    fault: Fault
    phases: dict[str, Phase] = field(default_factory=dict)
    sampled: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    requested: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    others: int = 0
    unanswered: list[str] = field(default_factory=list)
    late_seconds: float = 0.0
    highest_rss_mb: float = 0.0

    @property
    def promised(self) -> set[str]:
        """Ids of all traces that must arrive."""
        return self.sampled | self.failed | self.requested

    def growth_mb(self) -> float:
        """Growth of the highest resident memory over that before the outage, in MiB."""
        return self.highest_rss_mb - self.phases[BEFORE].rss_mb


def run(effort: Effort) -> Report:
    """Run the drill.

    Raises:
        BenchmarkError: a server does not start, or no answer is correct.
    """
    outages = []
    with start_testbed(qdrant=True) as testbed:
        for fault in effort.outage_faults:
            outages.append(_outage(testbed, fault, effort))
    return _report(outages, effort.outage_seconds)


def _outage(testbed: Testbed, fault: Fault, effort: Effort) -> Outage:
    found = Outage(fault)
    earlier = _arrived(testbed)
    seconds = {DURING: effort.outage_seconds}
    sides = min(effort.outage_seconds, LONGEST_SIDE_SECONDS)
    with FaultProxy(urlsplit(testbed.opik_url).port or 80) as proxy:
        environment = {"OPIK_URL_OVERRIDE": f"{proxy.url}/api", "SAMPLE_RATE": f"{SAMPLE_RATE:g}"}
        with testbed.service(name=f"service-{fault}", changes=environment) as (server, url):
            _load(testbed, url, sides / 4)  # warm up: connections, pools and the tracer's memory reach their size
            for phase in (BEFORE, DURING, AFTER):
                effort.progress(f"Opik {fault}: {phase}, {seconds.get(phase, sides):g} s")
                proxy.switch(fault if phase == DURING else None)
                with _side_calls(testbed, server, url, found):
                    used = _disk_bytes(server)
                    result = _load(testbed, url, seconds.get(phase, sides))
                    found.phases[phase] = Phase(result, server.rss_mb(), _disk_bytes(server) - used)
            found.sampled = _sampled(testbed)
            _await_promised(testbed, found, earlier)
            effort.progress(f"Opik {fault}: {len(found.promised)} promised, {len(found.missing)} missing")
    return found


def _load(testbed: Testbed, url: str, seconds: float) -> LoadResult:
    """Run the load for so many seconds; wrong answers are counted and accepted."""
    most = max(USERS, int(USERS * seconds * 1000 / STANDARD.total_ms))
    plan = replace(testbed.ask_service(url, USERS, most), body=ASKED, seconds=seconds)
    return run_load(plan, testbed.aws_environment, max_error_share=1)


@contextmanager
def _side_calls(testbed: Testbed, server: Server, url: str, found: Outage) -> Iterator[None]:
    """Beside the load, each second: a request for a trace, one that is abandoned, and a measurement of memory."""
    done = threading.Event()

    def watch() -> None:
        """Send both requests and measure, until the load is done."""
        headers = {"Authorization": f"Bearer {testbed.key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False) as client:
            while not done.wait(SIDE_CALL_SECONDS):
                try:
                    found.requested.add(_ask(client, {"X-Debug-Trace": "1"}, abandon=False))
                    found.failed.add(_ask(client, {}, abandon=True))
                except httpx.HTTPError as error:
                    found.unanswered.append(repr(error))
                found.highest_rss_mb = max(found.highest_rss_mb, server.rss_mb())

    thread = threading.Thread(target=watch, name="side-calls")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _ask(client: httpx.Client, headers: dict[str, str], *, abandon: bool) -> str:
    """Trace id of the answer, which is abandoned at its first token or read to its end."""
    with client.stream("POST", "/rag", json=ASKED, headers=headers) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if abandon and line == "event: token":
                break
        return str(answer.headers["X-Trace-Id"])


def _sampled(testbed: Testbed) -> set[str]:
    """Trace ids of all samples in the queue, which is emptied."""
    arguments: Any = CREDENTIALS.client_arguments()
    client: Any = boto3.client("sqs", endpoint_url=testbed.aws_url, **arguments)
    found: set[str] = set()
    while messages := client.receive_message(QueueUrl=testbed.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get(
        "Messages", []
    ):
        found |= {str(json.loads(message["Body"])["trace_id"]) for message in messages}
        entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
        client.delete_message_batch(QueueUrl=testbed.queue_url, Entries=entries)
    return found


def _await_promised(testbed: Testbed, found: Outage, earlier: set[str]) -> None:
    started = time.monotonic()
    while True:
        arrived = _arrived(testbed)
        found.missing = found.promised - arrived
        found.late_seconds = time.monotonic() - started
        if not found.missing or found.late_seconds > ARRIVAL_SECONDS:
            found.others = len(arrived - found.promised - earlier)
            return
        time.sleep(1)


def _arrived(testbed: Testbed) -> set[str]:
    """Ids of all traces that the collector lists."""
    found: set[str] = set()
    last: str | None = None
    while True:
        more = {"last_retrieved_id": last} if last else {}
        answer = httpx.post(
            f"{testbed.opik_url}/api/v1/private/traces/search",
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
    """Bytes of the files that the service holds open: its log and its spilled data; 0 on a system without /proc."""
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
        f"Opik unavailable for {seconds:g} s at {USERS} users",
        COLUMNS,
    )
    for outage in outages:
        for name, phase in outage.phases.items():
            total, gap = Spread.of(phase.result.total_ms), Spread.of(phase.result.gap_ms)
            report.rows.append(
                (
                    f"{outage.fault}, {name}",
                    f"{phase.answers:,}",
                    str(phase.failed),
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
            f"{len(outage.failed)} failed, {len(outage.requested)} requested), of which "
            f"{len(outage.promised) - len(outage.missing)} arrived within {outage.late_seconds:.0f} s after the load; "
            f"{outage.others} other traces arrived, too; highest resident memory {outage.highest_rss_mb:.1f} MiB"
        )
    report.charts = [
        _chart("Answer, p50", outages, lambda phase: Spread.of(phase.result.total_ms).p50, "ms"),
        _chart("Answer, p99", outages, lambda phase: Spread.of(phase.result.total_ms).p99, "ms"),
        _chart("Resident memory at the end", outages, lambda phase: phase.rss_mb, "MiB"),
    ]
    report.data = {
        outage.fault: {
            "promised": {kind: len(getattr(outage, kind)) for kind in ("sampled", "failed", "requested")},
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
    with_, without = (Spread.of(outage.phases[name].result.total_ms) for name in (DURING, BEFORE))
    failed = outage.phases[DURING].failed + len(outage.unanswered)
    arrived = 1 - len(outage.missing) / len(outage.promised)
    per_answer = [outage.phases[name].disk_bytes / outage.phases[name].answers for name in (DURING, BEFORE)]
    spilled_mb = (per_answer[0] - per_answer[1]) * outage.phases[DURING].answers / 2**20
    return [
        Goal(f"{outage.fault}: failed answers and requests", failed, 0, unit=""),
        Goal(f"{outage.fault}: answer p50 with the fault against without", with_.p50 / without.p50, 1.02),
        Goal(f"{outage.fault}: answer p99 with the fault against without", with_.p99 / without.p99, 1.1),
        Goal(f"{outage.fault}: resident memory grows by", outage.growth_mb(), MAX_GROWTH_MB, unit="MiB"),
        Goal(f"{outage.fault}: disk beyond the log grows by", spilled_mb, MAX_DISK_GROWTH_MB, unit="MiB"),
        Goal(f"{outage.fault}: share of the promised traces that arrived", arrived, 1, "at least", ""),
    ]


def _chart(title: str, outages: list[Outage], value: Callable[[Phase], float], unit: str) -> Chart:
    series: dict[str, Sequence[float]] = {
        name: [value(outage.phases[name]) for outage in outages] for name in (BEFORE, DURING, AFTER)
    }
    return Chart(title, "bars", "Opik", unit, [outage.fault for outage in outages], series)
