"""Latency of the collector's pages over 10,000 traces, against the same pages over 100 traces."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import httpx

from benchmarks.effort import Effort
from benchmarks.measure import Chart, Goal, Report, ms
from benchmarks.processes import Server, free_folder, python, server_core
from localcloud.opik.store import Store
from localcloud.ports import LOOPBACK, free_port

MANY, FEW = 10_000, 100
WANTED_MS = 150
WANTED_PLOT_MS = 500
"""Goal of the page with the plots, which reads every score."""
WORDS = ("health", "check", "timeout", "is", "long", "because", "weights", "load", "slowly", "model", "queue", "trace")
SCORES = ("groundedness", "answer_relevance", "language_match", "refusal")
DAYS = 20
BATCH = 100
PAGES = {
    "list": "/",
    "last page": "/?page=1000000",
    "text without a match": "/?text=nowhere",
    "failed": "/?state=failed",
    "slowest": "/?order=slowest",
    "lowest score": "/?score=groundedness&at_most=0.5&order=lowest",
    "text, score and status": "/?text=weights&score=refusal&at_least=0.5&state=done",
    "scores over time": "/scores",
}


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: a collector does not start.
    """
    times: dict[int, dict[str, float]] = {}
    for count in (FEW, MANY):
        effort.progress(f"{count:,} traces")
        times[count] = _measured(count, rounds=effort.rounds * 4)
    ratios = {name: times[MANY][name] / times[FEW][name] for name in PAGES}
    report = Report(
        "collector", "Pages of the collector", ("page", f"{FEW} traces, ms", f"{MANY:,} traces, ms", "ratio")
    )
    for name in PAGES:
        report.rows.append((name, ms(times[FEW][name]), ms(times[MANY][name]), f"{ratios[name]:.1f}"))
    report.goals = [Goal(f"{name}, {MANY:,} traces", times[MANY][name], _wanted(name), unit="ms") for name in PAGES]
    report.charts = [
        Chart(
            "Pages of the collector",
            "bars",
            "",
            "ms",
            list(PAGES),
            {f"{count:,} traces": [times[count][name] for name in PAGES] for count in (FEW, MANY)},
        )
    ]
    report.notes = ["Median of several requests over loopback; one uvicorn process on a core of its own."]
    report.data = {"ms": {str(count): found for count, found in times.items()}, "ratio": ratios}
    return report


def _wanted(name: str) -> float:
    return WANTED_PLOT_MS if PAGES[name] == "/scores" else WANTED_MS


def _measured(count: int, rounds: int) -> dict[str, float]:
    """Median milliseconds by page of a collector with `count` traces."""
    folder = free_folder(f"collector-{count}")
    _fill(folder, count)
    url = f"http://{LOOPBACK}:{(port := free_port())}"
    command = python("localcloud.opik", "--port", str(port), "--data", str(folder))
    server = Server(f"collector-{count}", command, {}, f"{url}/api/is-alive/ping", server_core())
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            return {name: median(_request_ms(client, path) for _ in range(rounds + 1)) for name, path in PAGES.items()}
    finally:
        server.stop()


def _request_ms(client: httpx.Client, path: str) -> float:
    begin = time.perf_counter()
    client.get(path).raise_for_status()
    return (time.perf_counter() - begin) * 1000


def _fill(folder: Path, count: int) -> None:
    """Store traces as the service writes them: question, answer, a prompt of 8 KB in the metadata, four scores."""
    store = Store(folder / "opik.sqlite", count)
    chance = random.Random(1)  # noqa: S311 - the same traces each time
    start = datetime.now(UTC) - timedelta(days=DAYS)
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        traces = [_trace(chance, start + timedelta(days=DAYS * number / count)) for number in numbers]
        store.add_traces(traces)
        store.add_scores(
            "trace", [{"id": one["id"], "name": name, "value": chance.random()} for one in traces for name in SCORES]
        )
    store.database.close()


def _trace(chance: random.Random, moment: datetime) -> dict[str, Any]:
    def text(words: int) -> str:
        """A text of so many random words."""
        return " ".join(chance.choices(WORDS, k=words))

    milliseconds = int(moment.timestamp() * 1000)
    id = UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | chance.getrandbits(62))
    error = {"exception_type": "Late", "message": "late", "traceback": ""}
    return {
        "id": str(id),
        "name": "generate",
        "project_name": "twin",
        "start_time": moment.isoformat(),
        "end_time": (moment + timedelta(milliseconds=chance.randint(300, 5000))).isoformat(),
        "input": {"query": text(10)},
        "output": {"answer": text(120)},
        "tags": ["rag", "dev"],
        "metadata": {
            "model_id": chance.choice(("qwen/small", "qwen/large")),
            "prompt_template_variables": {"context": text(1200)},
        },
        **({"error_info": error} if chance.random() < 0.03 else {}),
    }
