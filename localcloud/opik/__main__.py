"""`python -m localcloud.opik --host H --port N --data DIR`: the collector, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from localcloud.opik.app import create_app
from localcloud.perimeter import Perimeter
from localcloud.ports import LOOPBACK

MAX_TRACES = 50_000
"""Default of `--max-traces`."""


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--max-traces", type=int, default=MAX_TRACES, help="older traces are dropped")
    options = parser.parse_args()
    app = Perimeter(create_app(options.data, options.max_traces), linked=True)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
