"""`python -m services.rag`: serve the API."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys

import uvicorn
from fastapi import FastAPI

from services.common.anonymise import Anonymiser, DebugFilter
from services.common.embedding import Embedder, EmbeddingModelError
from services.common.http_protocol import HeadTimeoutProtocol
from services.common.logging import configure_logging
from services.common.settings import ConfigurationError
from services.rag.api.deps import Services
from services.rag.app import create_app
from services.rag.pipeline.rerank.factory import check_scorer
from services.rag.pipeline.tokens import TokenizerError
from services.rag.settings import RagSettings


class Server(uvicorn.Server):
    """uvicorn's server; on shutdown it refuses requests that wait for the model, which could outlast its time limit."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then take what was loaded out of the garbage collector's sight.

        A full collection looks at every object; a body with 20,000 values brings one about, and with the libraries'
        objects it would keep all callers waiting for 0.1 s.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running answers end, for at most `drain_seconds`."""
        app = self.config.app
        if isinstance(app, FastAPI) and isinstance(found := getattr(app.state, "services", None), Services):
            found.gate.close()
        await super().shutdown(sockets)


def main() -> int:
    """Serve until told to stop; returns the exit code (EX_CONFIG, 78, when the environment is wrong)."""
    try:
        settings = RagSettings.load()
        check_scorer(settings)
        configure_logging(file=settings.log_file)
        clean = DebugFilter(Anonymiser(settings.anonymise, settings.anonymise_patterns))
        for handler in logging.getLogger().handlers:
            handler.addFilter(clean)
        app = create_app(settings, Embedder(settings.embedding_model_dir))
    except (ConfigurationError, EmbeddingModelError, TokenizerError, OSError) as error:
        print(f"Configuration error: {error}", file=sys.stderr)
        return os.EX_CONFIG
    logging.getLogger("uvicorn.access").disabled = True
    server = Server(
        uvicorn.Config(
            app,
            host=settings.bind_host,
            port=settings.port,
            loop="uvloop",
            http=HeadTimeoutProtocol,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=settings.drain_seconds,
            timeout_keep_alive=settings.keep_alive_seconds,
        )
    )
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
