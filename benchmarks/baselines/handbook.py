"""`python -m benchmarks.baselines.handbook --port N --endpoint NAME`: a minimal service as baseline.

It has the form in which books and tutorials show a `/rag` route over a SageMaker endpoint: `async def` around blocking
calls, and a client per request. The event loop is blocked while an answer is generated, so callers are served one after
the other. It is written for this comparison and leaves out what would cost it more: retrieval, authentication, logging,
metrics.
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
from benchmarks.testbed import QUESTION, Testbed
from localcloud.ports import LOOPBACK, free_port


class Query(BaseModel):
    """Body of a request."""

    query: str


def create_app(endpoint: str) -> FastAPI:
    """Application that answers with the model behind `endpoint`."""
    app = FastAPI()

    @app.post("/rag")
    async def rag(body: Query) -> dict[str, str]:
        """Answer a question; blocks the event loop."""
        return {"answer": call_llm_service(endpoint, body.query)}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Answer 200 when the server runs."""
        return {"status": "ok"}

    return app


def call_llm_service(endpoint: str, query: str) -> str:
    """Answer of the endpoint, by a new client; blocks until it is complete."""
    client = boto3.client("sagemaker-runtime")
    request: dict[str, Any] = {"messages": [{"role": "user", "content": query}], "max_tokens": 512}
    response = client.invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps(request).encode()
    )
    return str(json.loads(response["Body"].read())["choices"][0]["message"]["content"])


@contextmanager
def serve(testbed: Testbed, timetable: Timetable = STANDARD) -> Iterator[tuple[Server, str]]:
    """Run the baseline on the server's core; yields the process and its address.

    Raises:
        BenchmarkError: it does not start.
    """
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = python("benchmarks.baselines.handbook", "--port", str(port), "--endpoint", timetable.path)
    server = Server("handbook", command, testbed.aws_environment, f"{url}/healthz", server_core())
    try:
        yield server, url
    finally:
        server.stop()


def ask(url: str, users: int, requests: int, timetable: Timetable = STANDARD) -> Plan:
    """Plan of the service's questions, without a warm-up: its 64 answers would take more than a minute."""
    return Plan("json", url, {"query": QUESTION}, users, requests, 0, timetable.total_ms, warm=False)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--endpoint", required=True, help="name of the SageMaker endpoint")
    options = parser.parse_args()
    uvicorn.run(create_app(options.endpoint), host=LOOPBACK, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
