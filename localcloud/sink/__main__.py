"""`python -m localcloud.sink --host 127.0.0.1 --port N --data DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvicorn

from localcloud.perimeter import Perimeter
from localcloud.ports import LOOPBACK
from localcloud.sink.app import create_app
from localcloud.sink.store import MessageStore


def main() -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.sink", description="Record webhooks and show them.")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded messages")
    arguments = parser.parse_args()
    try:
        store = MessageStore(arguments.data)
    except OSError as problem:
        sys.stderr.write(f"The sink cannot use {arguments.data}: {problem.strerror}.\n")
        return 1
    app = Perimeter(create_app(store), linked=True)
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
