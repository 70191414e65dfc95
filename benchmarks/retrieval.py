"""Latency of retrieval against its floor, the least that it could take; see `retrieval_probe`."""

from __future__ import annotations

import json
import subprocess
from statistics import median
from typing import Any

from benchmarks.effort import Effort
from benchmarks.measure import Chart, Goal, Report, Spread, ms
from benchmarks.processes import WORK, BenchmarkError, pinned, python, server_core
from benchmarks.testbed import Testbed, start_testbed
from localcloud.process import REPOSITORY, base_environment
from twin.target.paths import EMBEDDING_MODEL

STEP_NAMES = {
    "embed": "longest embedding",
    "search": "longest search of a collection",
    "retriever.retrieve_top_k": "all searches",
    "retriever.rerank": "rerank",
}


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: something does not start or fails.
    """
    with start_testbed(qdrant=True, opik=False) as testbed:
        effort.progress("retrieval and its floor, question by question")
        found = _probe(testbed, effort.questions)
    floor, whole = Spread.of(found["floor"]), Spread.of(found["retrieval"])
    ratios = [whole / floor for whole, floor in zip(found["retrieval"], found["floor"], strict=True)]
    report = Report("retrieval", "Retrieval against its floor", ("step", "p50 ms", "p95", "p99"))
    rows = {
        "floor: one embedding and the raw Qdrant queries": floor,
        "  of which embedding": Spread.of(found["floor_embed"]),
        "retrieval": whole,
        **{f"  of which {name}": Spread.of(found["steps"][step]) for step, name in STEP_NAMES.items()},
    }
    report.rows = [(name, ms(spread.p50), ms(spread.p95), ms(spread.p99)) for name, spread in rows.items()]
    report.goals = [Goal("retrieval p50 against its floor", whole.p50 / floor.p50, 1.3)]
    report.notes = [
        f"{len(found['floor'])} pairs over the example corpus; {found['queries']:.1f} Qdrant queries per question.",
        f"Median of the ratios per question: {median(ratios):.2f}.",
    ]
    report.charts = [
        Chart(
            "Retrieval and its floor",
            "bars",
            "",
            "ms",
            ["p50", "p95", "p99"],
            {"floor": [floor.p50, floor.p95, floor.p99], "retrieval": [whole.p50, whole.p95, whole.p99]},
        )
    ]
    report.data = found
    return report


def _probe(testbed: Testbed, repeats: int) -> dict[str, Any]:
    environment = {
        **base_environment(WORK),
        **testbed.aws_environment,
        "QDRANT_URL": testbed.qdrant_url,
        "EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL),
    }
    command = pinned(python("benchmarks.retrieval_probe", str(repeats)), server_core())
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"Retrieval cannot be measured: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
