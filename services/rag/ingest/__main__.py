"""`python -m services.rag.ingest PATH`: ingest a tree of documents; prints the report as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from services.common.embedding import Embedder, EmbeddingModelError
from services.common.settings import ConfigurationError
from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.reader import IngestError
from services.rag.ingest.run import IngestReport, ingest
from services.rag.settings import StoreSettings
from services.rag.stores.documents import StoreMismatch, StoreUnavailable
from services.rag.stores.opening import open_store


def main(arguments: list[str] | None = None) -> int:
    """Ingest; returns 0, 1 when it failed, or EX_CONFIG (78) when the environment is wrong."""
    parser = argparse.ArgumentParser(prog="python -m services.rag.ingest", description=__doc__)
    parser.add_argument("path", type=Path, help="folder with posts/, articles/ and repositories/")
    parser.add_argument("--progress-json", action="store_true", help='write {"done", "total"} lines to standard error')
    options = parser.parse_args(arguments)
    try:
        settings = StoreSettings.load()
        report = asyncio.run(_run(options.path, settings, as_json=options.progress_json))
    except (ConfigurationError, EmbeddingModelError) as error:
        print(f"Configuration error: {error}", file=sys.stderr)
        return os.EX_CONFIG
    except (IngestError, StoreUnavailable, StoreMismatch) as error:
        print(f"Ingest failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report.as_dict(), ensure_ascii=False))
    return 0


async def _run(path: Path, settings: StoreSettings, *, as_json: bool) -> IngestReport:
    def show(done: int, total: int) -> None:
        if as_json:
            print(json.dumps({"done": done, "total": total}), file=sys.stderr, flush=True)
        elif sys.stderr.isatty():
            print(f"\r{done}/{total} chunks", end="" if done < total else "\n", file=sys.stderr, flush=True)

    pool = CpuPool(Embedder(settings.embedding_model_dir, settings.embedding_threads), 1)
    store = open_store(settings, pool)
    try:
        return await ingest(path, store, pool, tenant=settings.tenant, progress=show)
    finally:
        await store.close()
        pool.close()


if __name__ == "__main__":
    sys.exit(main())
