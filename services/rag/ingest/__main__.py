"""`python -m services.rag.ingest SOURCE`: documents into the store; prints the report as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time

from services.common.embedding import Embedder, EmbeddingModelError
from services.common.settings import ConfigurationError
from services.rag.embeddings.pool import CpuPool
from services.rag.errors import StoreMismatch, StoreUnavailable
from services.rag.ingest.documents import IngestError
from services.rag.ingest.reader import Given
from services.rag.ingest.run import IngestReport, Progress, ingest
from services.rag.settings import StoreSettings
from services.rag.stores.documents import COLLECTIONS
from services.rag.stores.factory import open_store

# Lines of progress travel through a log service in AWS, which takes its time and its fee per line.
SECONDS_BETWEEN_STEPS = 0.5
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Ingest; returns 0, 1 when it failed, 130 after Ctrl-C, or EX_CONFIG (78) when the environment is wrong."""
    parser = argparse.ArgumentParser(prog="python -m services.rag.ingest", description=__doc__)
    parser.add_argument("source", help="a path, s3://bucket/prefix, or the address of a Git repository")
    parser.add_argument("--type", choices=COLLECTIONS, default="", help="what a folder that is no tree holds")
    parser.add_argument("--author", default="", help="of documents that name none")
    parser.add_argument(
        "--progress-json",
        action="store_true",
        help='write {"done", "total"} and {"skipped": {"id", "reason"}} lines to standard error, and a short report',
    )
    options = parser.parse_args(arguments)
    given = Given(options.type, options.author.strip())
    show = _json_progress() if options.progress_json else _progress
    try:
        report = asyncio.run(_run(options.source, given, StoreSettings.load(), show))
    except (ConfigurationError, EmbeddingModelError) as error:
        print(f"Configuration error: {error}", file=sys.stderr)
        return os.EX_CONFIG
    except (IngestError, StoreUnavailable, StoreMismatch) as error:
        print(f"Ingest failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: run it again to go on where it stopped.", file=sys.stderr)
        return INTERRUPTED
    if options.progress_json:
        # One by one: a log service cuts long lines.
        for skipped in report.as_dict()["skipped"]:
            print(json.dumps({"skipped": skipped}, ensure_ascii=False), file=sys.stderr, flush=True)
    print(json.dumps(report.counts() if options.progress_json else report.as_dict(), ensure_ascii=False))
    return 0


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{total} chunks", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _json_progress() -> Progress:
    last = 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done in (0, total) or now - last >= SECONDS_BETWEEN_STEPS:
            last = now
            print(json.dumps({"done": done, "total": total}), file=sys.stderr, flush=True)

    return show


async def _run(source: str, given: Given, settings: StoreSettings, progress: Progress) -> IngestReport:
    pool = CpuPool(Embedder(settings.embedding_model_dir, settings.embedding_threads), 1)
    store = open_store(settings, pool.model_id, pool.dimension)
    try:
        return await ingest(source, store, pool, given=given, progress=progress)
    finally:
        await store.close()
        pool.close()


if __name__ == "__main__":
    sys.exit(main())
