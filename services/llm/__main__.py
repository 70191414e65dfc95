"""`python -m services.llm`: serve until told to stop; a configuration error ends with one line and exit code 78."""

from __future__ import annotations

import sys

import uvicorn

from services.common.settings import ConfigurationError
from services.llm.app import create_app
from services.llm.engines.factory import create_engine
from services.llm.settings import LlmSettings

EX_CONFIG = 78
"""Exit code for a configuration error (sysexits.h)."""


def main() -> int:
    """Run the container."""
    try:
        settings = LlmSettings.load()
        engine = create_engine(settings)
    except ConfigurationError as error:
        print(f"Configuration error: {error}", file=sys.stderr)
        return EX_CONFIG
    # SageMaker calls a container from outside it, so it listens on every interface there; locally the platform says where.
    uvicorn.run(
        create_app(engine, settings.sm_vllm_model), host=settings.bind_host, port=settings.sagemaker_bind_to_port
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
