"""`python -m services.rag.evaluate_retrieval FILE`: recall, MRR and nDCG on labelled questions, as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from services.common.breaker import State
from services.common.embedding import Embedder, EmbeddingModelError
from services.common.settings import ConfigurationError
from services.rag.embeddings.pool import CpuPool
from services.rag.errors import StoreMismatch, StoreUnavailable
from services.rag.evaluate_retrieval.labels import LabelError, read_labels
from services.rag.evaluate_retrieval.run import check_labels, evaluate, retrievers
from services.rag.pipeline.factory import open_parts
from services.rag.settings import RetrievalSettings
from services.rag.stores.factory import open_store

KS = (1, 3, 5, 10)
"""Cut-offs of recall."""


def main(arguments: list[str] | None = None) -> int:
    """Evaluate; returns 0, 1 when it failed, or EX_CONFIG (78) when the environment is wrong."""
    parser = argparse.ArgumentParser(prog="python -m services.rag.evaluate_retrieval", description=__doc__)
    parser.add_argument("file", type=Path, help='JSON lines {"query", "relevant": [document ids], "author"?}')
    parser.add_argument("--progress-json", action="store_true", help='write {"done", "total"} lines to standard error')
    options = parser.parse_args(arguments)
    try:
        report = asyncio.run(_run(options.file, RetrievalSettings.load(), as_json=options.progress_json))
    except (ConfigurationError, EmbeddingModelError) as error:
        print(f"Configuration error: {error}", file=sys.stderr)
        return os.EX_CONFIG
    except (LabelError, StoreUnavailable, StoreMismatch) as error:
        print(f"Evaluation failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report, ensure_ascii=False))
    return 0


async def _run(file: Path, settings: RetrievalSettings, *, as_json: bool) -> dict[str, Any]:
    def show(done: int, total: int) -> None:
        if as_json:
            print(json.dumps({"done": done, "total": total}), file=sys.stderr, flush=True)

    labels = read_labels(file)
    async with AsyncExitStack() as stack:
        pool = CpuPool(Embedder(settings.embedding_model_dir, settings.embedding_threads), 1)
        stack.callback(pool.close)
        store = open_store(settings, pool.model_id, pool.dimension)
        stack.push_async_callback(store.close)
        understanding, reranking = await open_parts(settings, pool, None, _ignore_state, stack)
        await check_labels(labels, store)
        modes = retrievers(store, pool, understanding, reranking, settings.retrieval_candidates)
        report = await evaluate(labels, modes, KS, show)
    return {
        "file": str(file),
        "embedding_model_id": pool.model_id,
        "reranker_id": reranking.reranker_id,
        "query_understanding": settings.query_understanding,
        **report,
    }


def _ignore_state(dependency: str, state: State) -> None:
    """Ignore the state of circuit breakers: questions that they refuse are reported as degraded."""


if __name__ == "__main__":
    sys.exit(main())
