"""`python -m localcloud.qdrant --host 127.0.0.1 --port N --data DIR [--api-key KEY]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvicorn

from localcloud.perimeter import Perimeter
from localcloud.ports import LOOPBACK
from localcloud.qdrant.app import create_app
from localcloud.qdrant.engine import DataFolderInUseError, Engine
from localcloud.qdrant.errors import QdrantError

SHUTDOWN_SECONDS = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT, then flush. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.qdrant", description="A Qdrant-compatible server.")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--api-key", help="required from every caller when given")
    arguments = parser.parse_args()
    try:
        engine = Engine(arguments.data)
    except DataFolderInUseError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except OSError as problem:
        sys.stderr.write(f"The Qdrant server cannot use {arguments.data}: {problem.strerror}.\n")
        return 1
    except (QdrantError, ValueError, KeyError):
        sys.stderr.write(f"A collection in {arguments.data} cannot be read; delete that folder and ingest again.\n")
        return 1
    try:
        uvicorn.run(
            Perimeter(create_app(engine, arguments.api_key)),
            host=arguments.host,
            port=arguments.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    finally:
        engine.close()  # also when the port is taken and the application never starts
    return 0


if __name__ == "__main__":
    sys.exit(main())
