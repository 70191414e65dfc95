"""`python -m benchmarks.baselines.handbook --port N --endpoint NAME`: the labelled baseline of a minimal service.

The shape in which books and tutorials show a `/rag` route over a SageMaker endpoint: `async def` around blocking calls,
and clients that are built for every request. While one caller's answer is generated the event loop stands still, so
callers are served one after the other. It is written for this comparison and leaves out what would cost it more:
retrieval, authentication, logging, metrics.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.load import Plan
from benchmarks.processes import Server, python, server_core
from benchmarks.stub_llm import STANDARD, Timetable
from benchmarks.world import QUESTION, World
from localcloud.ports import free_port


class Query(BaseModel):
    """The request."""

    query: str


def create_app(endpoint: str) -> FastAPI:
    """The service."""
    app = FastAPI()

    @app.post("/rag")
    async def rag(body: Query) -> dict[str, str]:
        return {"answer": call_llm_service(endpoint, body.query)}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def call_llm_service(endpoint: str, query: str) -> str:
    """The answer of the endpoint, with a client of its own; blocks until it is complete."""
    client = boto3.client("sagemaker-runtime")
    request: dict[str, Any] = {"messages": [{"role": "user", "content": query}], "max_tokens": 512}
    response = client.invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps(request).encode()
    )
    return str(json.loads(response["Body"].read())["choices"][0]["message"]["content"])


@contextmanager
def serve(world: World, timetable: Timetable = STANDARD) -> Iterator[tuple[Server, str]]:
    """The baseline on the server's core, and its address.

    Raises:
        BenchmarkError: it does not start.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = python("benchmarks.baselines.handbook", "--port", str(port), "--endpoint", timetable.path)
    server = Server("handbook", command, world.aws_environment, f"{url}/healthz", server_core())
    try:
        yield server, url
    finally:
        server.stop()


def ask(url: str, users: int, requests: int, timetable: Timetable = STANDARD) -> Plan:
    """The service's question. Nothing is asked before: 64 warming answers would take more than a minute."""
    return Plan("json", url, {"query": QUESTION}, users, requests, 0, timetable.total_ms, warm=False)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--endpoint", required=True, help="name of the SageMaker endpoint")
    options = parser.parse_args()
    uvicorn.run(
        create_app(options.endpoint), host="127.0.0.1", port=options.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
