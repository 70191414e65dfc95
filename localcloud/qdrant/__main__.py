"""`python -m localcloud.qdrant --host 127.0.0.1 --port N --data DIR`; keys in variables, named as Qdrant's own."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import uvicorn

from localcloud.perimeter import Perimeter
from localcloud.ports import LOOPBACK
from localcloud.qdrant.app import create_app
from localcloud.qdrant.engine import DataFolderInUseError, Engine
from localcloud.qdrant.errors import QdrantError

SHUTDOWN_SECONDS = 2
KEY_VARIABLE, READ_ONLY_KEY_VARIABLE = "QDRANT__SERVICE__API_KEY", "QDRANT__SERVICE__READ_ONLY_API_KEY"
MIB = 1024**2
NEEDED_BYTES = 64 * MIB
"""Less free disk than this is named as the cause."""


def unreadable(data: Path, problem: Exception) -> str:
    """Why the collections cannot be opened: a full disk is the usual cause, after which the data is as it was."""
    free = shutil.disk_usage(data).free
    if free < NEEDED_BYTES:
        return (
            f"The collections in {data} cannot be opened: the disk has {free // MIB} MB left. Free at least "
            f"{NEEDED_BYTES // MIB} MB; nothing is lost, and the next start goes on."
        )
    return f"A collection in {data} cannot be opened ({problem}). Nothing was deleted; the next start tries again."


def main() -> int:
    """Serve until SIGTERM or SIGINT, then flush. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.qdrant", description="A Qdrant-compatible server.")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    arguments = parser.parse_args()
    try:
        engine = Engine(arguments.data)
    except DataFolderInUseError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except OSError as problem:
        sys.stderr.write(f"The Qdrant server cannot use {arguments.data}: {problem.strerror}.\n")
        return 1
    except (QdrantError, ValueError, KeyError) as problem:
        sys.stderr.write(f"{unreadable(arguments.data, problem)}\n")
        return 1
    try:
        uvicorn.run(
            # Not as arguments, which every user of the machine can read.
            Perimeter(create_app(engine, os.environ.get(KEY_VARIABLE), os.environ.get(READ_ONLY_KEY_VARIABLE))),
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
