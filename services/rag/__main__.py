"""`python -m services.rag`: serve the business API."""

from __future__ import annotations

import logging
import os
import sys

import uvicorn

from services.common.embedding import Embedder, EmbeddingModelError
from services.common.logging import configure_logging
from services.common.settings import ConfigurationError
from services.rag.app import create_app
from services.rag.pipeline.rerank.factory import check_scorer
from services.rag.pipeline.tokens import TokenizerError
from services.rag.settings import RagSettings

# Streams that run when the service is told to stop may end; the platform kills it after about 30 s all told.
GRACEFUL_SECONDS = 15


def main() -> int:
    """Serve until told to stop; returns the exit code (EX_CONFIG, 78, when the environment is wrong)."""
    try:
        settings = RagSettings.load()
        check_scorer(settings)
        configure_logging(file=settings.log_file)
        app = create_app(settings, Embedder(settings.embedding_model_dir))
    except (ConfigurationError, EmbeddingModelError, TokenizerError, OSError) as error:
        print(f"Configuration error: {error}", file=sys.stderr)
        return os.EX_CONFIG
    logging.getLogger("uvicorn.access").disabled = True
    uvicorn.run(
        app,
        host=settings.bind_host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
