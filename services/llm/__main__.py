"""`python -m services.llm`: serve the engine."""

from __future__ import annotations

import logging
import os
import sys

import uvicorn

from services.common.http_protocol import HeadTimeoutProtocol
from services.common.logging import configure_logging
from services.common.settings import ConfigurationError
from services.llm.app import create_app
from services.llm.engines.factory import create_engine
from services.llm.settings import LlmSettings

# Streams that run when the service is told to stop may end; SageMaker kills a container 30 s after SIGTERM.
GRACEFUL_SECONDS = 15


def main() -> int:
    """Serve until told to stop; returns the exit code (EX_CONFIG, 78, when the environment is wrong)."""
    try:
        settings = LlmSettings.load()
        engine = create_engine(settings)
    except ConfigurationError as error:
        print(f"Configuration error: {error}", file=sys.stderr)
        return os.EX_CONFIG
    configure_logging()
    logging.getLogger(__name__).info("engine chosen", extra={"engine": settings.llm_engine})
    uvicorn.run(
        create_app(
            engine,
            settings.model_name,
            max_model_len=settings.max_model_len,
            routes=settings.option_max_model_len is None,
        ),
        host=settings.bind_host,
        port=settings.sagemaker_bind_to_port,
        http=HeadTimeoutProtocol,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
