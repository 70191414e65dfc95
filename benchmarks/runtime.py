"""`python -m benchmarks.runtime --port N --container URL`: the project's local SageMaker runtime over the stub.

Each endpoint is named after the timetable of the stub that it serves.
"""

from __future__ import annotations

import argparse

import uvicorn

from benchmarks.stub_llm import SHORT, STANDARD
from localcloud.ports import LOOPBACK
from localcloud.sagemaker_runtime.app import create_app
from localcloud.sagemaker_runtime.routing import EndpointRoute, RoutingTable


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--container", required=True, help="address of the stub")
    options = parser.parse_args()
    table = RoutingTable()
    for timetable in (STANDARD, SHORT):
        table.set_endpoint(EndpointRoute(timetable.path, "AllTraffic", (f"{options.container}/{timetable.path}",)))
    uvicorn.run(
        create_app(table), host=LOOPBACK, port=options.port, log_level="warning", access_log=False, http="httptools"
    )


if __name__ == "__main__":
    main()
