"""`python -m benchmarks.ingest`: the whole ingest into the local Qdrant-compatible server against embedding alone.

Both sides embed the same chunks with the same loaded model on the same core(s), in one process, round by round and in
alternating order; each ingest starts with an empty store. The server has the other cores where there are any: in AWS
it is another machine. A ratio of 1 means that reading, chunking and writing cost nothing on top of embedding.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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

from localcloud.ports import LOOPBACK, free_port
from localcloud.process import REPOSITORY, Child, answers, base_environment
from services.common.embedding import Embedder
from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.chunk import chunk_document
from services.rag.ingest.reader import Given
from services.rag.ingest.run import ingest
from services.rag.ingest.sources import read_source
from services.rag.ingest.write import embedded_text
from services.rag.stores.documents import COLLECTIONS
from services.rag.stores.qdrant import QdrantStore

GOAL = 0.85
MODEL = REPOSITORY / ".local" / "models" / "all-MiniLM-L6-v2"
OUTPUT = REPOSITORY / ".local" / "benchmark" / "ingest.json"
CORPUS = REPOSITORY / "examples" / "corpus"
# Code, too: its chunks are longer and its reader does more.
CODE = REPOSITORY / "services" / "rag"
TENANT = "default"
START_SECONDS = 60.0
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Sample:
    """One pass over all chunks: seconds on the clock, and seconds of this process on its core(s)."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Round:
    """Both sides, one right after the other."""

    raw: Sample
    whole: Sample

    @property
    def ratio(self) -> float:
        """Throughput of the whole ingest over that of embedding alone."""
        return self.raw.wall / self.whole.wall

    @property
    def cpu_ratio(self) -> float:
        """The same by processor time: what other programs on the machine do hardly shows in it."""
        return self.raw.cpu / self.whole.cpu


@dataclass(frozen=True)
class Result:
    """What came out; figures are medians over the rounds.

    Attributes:
        texts: chunks of one pass.
        cores: of the measured process.
        server_cores: of the store's.
        load_average: at the end; well above the number of cores used, the ratio by the clock says little.
    """

    texts: int
    cores: int
    server_cores: int
    ratio: float
    cpu_ratio: float
    raw_texts_per_second: float
    ingest_texts_per_second: float
    load_average: float
    rounds: list[Round]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write JSON; returns 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description="Ingest against raw embedding.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cores", type=int, default=1, help="cores, and threads that embed, of either side")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    ours, others = _shared_out(options.cores)
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder, _server(Path(folder), others) as url:
        os.sched_setaffinity(0, ours)
        tree = _tree(Path(folder) / "corpus")
        texts = _texts(tree)
        model = Embedder(MODEL, options.cores)
        model.embed(texts[:64])
        rounds = [_round(number, tree, texts, model, url) for number in range(options.rounds)]
    result = _result(rounds, len(texts), len(ours), len(others))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(asdict(result), indent=2))
    _show(result)
    return 0 if result.ratio >= GOAL else 1


def _shared_out(count: int) -> tuple[set[int], set[int]]:
    """Cores of the measured process, and of the server: the rest, or all when nothing is left."""
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
                raise RuntimeError(f"The Qdrant server did not start: {child.last_words()}")
            time.sleep(0.1)
        yield url
    finally:
        child.stop(STOP_SECONDS)


def _tree(root: Path) -> Path:
    shutil.copytree(CORPUS, root)
    shutil.copytree(CODE, root / "repositories" / "ours" / CODE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def _texts(tree: Path) -> list[str]:
    documents = read_source(tree, Given()).documents
    chunks = (chunk for found in documents for chunk in chunk_document(found, tenant=TENANT, model_id=""))
    return [embedded_text(chunk) for chunk in chunks]


def _round(number: int, tree: Path, texts: list[str], model: Embedder, url: str) -> Round:
    for collection in COLLECTIONS:
        httpx.delete(f"{url}/collections/{collection}", timeout=30).raise_for_status()
    if number % 2:
        whole = _whole(tree, len(texts), model, url)
        return Round(_raw(texts, model), whole)
    raw = _raw(texts, model)
    return Round(raw, _whole(tree, len(texts), model, url))


def _raw(texts: list[str], model: Embedder) -> Sample:
    """All texts in one call, which orders them by length and embeds them in batches: the best that the model can do."""
    wall, cpu = time.perf_counter(), time.process_time()
    model.embed(texts)
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)


def _whole(tree: Path, expected: int, model: Embedder, url: str) -> Sample:
    async def run() -> int:
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
        raise RuntimeError(f"{written} chunks were written, not {expected}.")
    return sample


def _result(rounds: list[Round], texts: int, cores: int, server_cores: int) -> Result:
    return Result(
        texts=texts,
        cores=cores,
        server_cores=server_cores,
        ratio=statistics.median(found.ratio for found in rounds),
        cpu_ratio=statistics.median(found.cpu_ratio for found in rounds),
        raw_texts_per_second=statistics.median(texts / found.raw.wall for found in rounds),
        ingest_texts_per_second=statistics.median(texts / found.whole.wall for found in rounds),
        load_average=os.getloadavg()[0],
        rounds=rounds,
    )


def _show(result: Result) -> None:
    for number, found in enumerate(result.rounds, 1):
        print(
            f"round {number}: alone {found.raw.wall:.2f} s, ingest {found.whole.wall:.2f} s, "
            f"ratio {found.ratio:.3f} (by processor time {found.cpu_ratio:.3f})"
        )
    print(
        f"{result.texts} chunks on {result.cores} core(s), load average {result.load_average:.1f}\n"
        f"median texts/s: alone {result.raw_texts_per_second:.1f}, ingest {result.ingest_texts_per_second:.1f}\n"
        f"ratio {result.ratio:.3f} (goal at least {GOAL}; by processor time {result.cpu_ratio:.3f})"
    )


if __name__ == "__main__":
    sys.exit(main())
