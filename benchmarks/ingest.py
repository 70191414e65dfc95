"""Throughput of the whole ingest into the local Qdrant server, against embedding alone.

Both embed the same chunks with the same loaded model on the same core(s), in one process, round by round and in
alternating order; each ingest starts with an empty store. The server runs on the other cores where there are any, since
it is another machine in AWS. A ratio of 1 means that reading, chunking and writing cost nothing on top of embedding.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from benchmarks.effort import Effort
from benchmarks.measure import Chart, Goal, Report
from benchmarks.processes import BenchmarkError
from localcloud.ports import LOOPBACK, free_port
from localcloud.process import REPOSITORY, Child, answers, base_environment
from services.common.embedding import Embedder
from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.chunk import chunks_of
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.reader import Given
from services.rag.ingest.run import ingest
from services.rag.ingest.sources import read_source
from services.rag.ingest.write import embedded_text
from services.rag.stores.documents import COLLECTIONS
from services.rag.stores.qdrant import QdrantStore
from twin.target.paths import CORPUS, EMBEDDING_MODEL

GOAL = 0.85
"""Wanted ratio of throughputs."""
# Code is ingested, too, since its chunks are longer and its reader does more.
CODE = REPOSITORY / "services" / "rag"
TENANT = "default"
CORES = 1
START_SECONDS = 60.0
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Sample:
    """One pass over all chunks.

    Attributes:
        wall: seconds on the clock.
        cpu: processor seconds of this process.
    """

    wall: float
    cpu: float


@dataclass(frozen=True)
class Round:
    """Both measurements of one round, one right after the other."""

    embedding: Sample
    ingest: Sample

    @property
    def ratio(self) -> float:
        """Throughput of the whole ingest over that of embedding alone."""
        return self.embedding.wall / self.ingest.wall

    @property
    def cpu_ratio(self) -> float:
        """The same by processor time, on which other programs of the machine have little influence."""
        return self.embedding.cpu / self.ingest.cpu


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: the server does not start, or the ingest wrote another number of chunks than was embedded.
    """
    before = os.sched_getaffinity(0)
    measured, others = _split_cores(CORES)
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder, _server(Path(folder), others) as url:
        try:
            os.sched_setaffinity(0, measured)
            tree = _copy_sources(Path(folder) / "corpus")
            texts = _texts(tree)
            model = Embedder(EMBEDDING_MODEL, CORES)
            model.embed(texts[:64])
            rounds = []
            for number in range(effort.rounds):
                effort.progress(f"{len(texts)} chunks, round {number + 1} of {effort.rounds}")
                rounds.append(_round(number, tree, texts, model, url))
        finally:
            os.sched_setaffinity(0, before)
    return _report(rounds, len(texts))


def _split_cores(count: int) -> tuple[set[int], set[int]]:
    """Cores of the measured process and of the server, which gets the others, or all when there are no others."""
    cores = sorted(os.sched_getaffinity(0))
    return set(cores[:count]), set(cores[count:]) or set(cores)


@contextmanager
def _server(folder: Path, cores: set[int]) -> Iterator[str]:
    before = os.sched_getaffinity(0)
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "localcloud.qdrant", "--host", LOOPBACK, "--port", str(port)]
    # A child inherits the cores of its parent.
    os.sched_setaffinity(0, cores)
    child = Child([*command, "--data", str(folder / "data")], base_environment(folder), folder / "log")
    os.sched_setaffinity(0, before)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{url}/readyz"):
            if child.exit_code() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"The Qdrant server did not start: {child.last_log_line()}")
            time.sleep(0.1)
        yield url
    finally:
        child.stop(STOP_SECONDS)


def _copy_sources(root: Path) -> Path:
    shutil.copytree(CORPUS, root)
    shutil.copytree(CODE, root / "repositories" / "ours" / CODE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def _texts(tree: Path) -> list[str]:
    with Isolated() as isolated:
        documents = read_source(tree, Given(), isolated).documents
    chunks = (chunk for found in documents for chunk in chunks_of(found, tenant=TENANT, model_id=""))
    return [embedded_text(chunk) for chunk in chunks]


def _round(number: int, tree: Path, texts: list[str], model: Embedder, url: str) -> Round:
    for collection in COLLECTIONS:
        httpx.delete(f"{url}/collections/{collection}", timeout=30).raise_for_status()
    if number % 2:
        ingested = _ingest_all(tree, len(texts), model, url)
        return Round(_embed_only(texts, model), ingested)
    embedded = _embed_only(texts, model)
    return Round(embedded, _ingest_all(tree, len(texts), model, url))


def _embed_only(texts: list[str], model: Embedder) -> Sample:
    """Embed all texts in one call, which sorts them by length and batches them: the best case of the model."""
    wall, cpu = time.perf_counter(), time.process_time()
    model.embed(texts)
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)


def _ingest_all(tree: Path, expected: int, model: Embedder, url: str) -> Sample:
    async def run() -> int:
        """Number of chunks written by one ingest."""
        pool = CpuPool(model, 1)
        store = QdrantStore(url, embedding_model_id=model.model_id, dimension=model.dimension, tenant=TENANT)
        try:
            return (await ingest(tree, store, pool)).chunks_written
        finally:
            await store.close()
            pool.close()

    wall, cpu = time.perf_counter(), time.process_time()
    written = asyncio.run(run())
    sample = Sample(time.perf_counter() - wall, time.process_time() - cpu)
    if written != expected:
        raise BenchmarkError(f"{written} chunks were written, not {expected}.")
    return sample


def _report(rounds: list[Round], texts: int) -> Report:
    ratio = statistics.median(found.ratio for found in rounds)
    cpu_ratio = statistics.median(found.cpu_ratio for found in rounds)
    rates = {
        "embedding alone": [texts / found.embedding.wall for found in rounds],
        "whole ingest": [texts / found.ingest.wall for found in rounds],
    }
    return Report(
        "ingest",
        "The whole ingest against embedding the same chunks",
        ("measured", "texts/s", "CPU s per round"),
        [
            ("embedding alone", *_row(rates["embedding alone"], [found.embedding for found in rounds])),
            ("whole ingest", *_row(rates["whole ingest"], [found.ingest for found in rounds])),
        ],
        [Goal("ingest throughput against embedding alone", ratio, GOAL, "at least")],
        [Chart("Throughput", "bars", "round", "texts/s", [str(n + 1) for n in range(len(rounds))], dict(rates))],
        [f"{texts} chunks, {CORES} core for the measured process; ratio by processor time: {cpu_ratio:.2f}x."],
        {"texts": texts, "ratio": ratio, "cpu_ratio": cpu_ratio, "rounds": [asdict(found) for found in rounds]},
    )


def _row(rates: list[float], samples: list[Sample]) -> tuple[str, str]:
    return f"{statistics.median(rates):.1f}", f"{statistics.median(sample.cpu for sample in samples):.2f}"
