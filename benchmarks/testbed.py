"""Test bed of the benchmarks: stub, SageMaker runtime, AWS emulator, Qdrant, collector, and the service under test."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks.load import Plan
from benchmarks.processes import BenchmarkError, Server, free_folder, other_cores, python, server_core
from benchmarks.stub_llm import STANDARD, Timetable
from localcloud.account import REGION, new_credentials
from localcloud.ports import LOOPBACK, free_port
from localcloud.process import REPOSITORY, base_environment
from twin.target.paths import CORPUS, EMBEDDING_MODEL

QUESTION = "Why does Ada keep the health check timeout so long?"
TRACES_PER_SECOND = 10
"""Tracing budget of the service by default."""
REQUESTS_PER_MINUTE = 10_000_000
"""Rate limit of the API key, high enough never to be reached."""
CREDENTIALS = new_credentials()
"""The key that the emulator of this process takes."""


@dataclass(frozen=True)
class Testbed:
    """Addresses of the running servers, and plans of requests to them.

    Attributes:
        stub_url: address of the stub LLM, for servers that call it by OpenAI's API.
        runtime_url: address of the SageMaker runtime in front of the stub.
        aws_url: address of the AWS emulator (Secrets Manager, SQS).
        qdrant_url: address of the local Qdrant with the example corpus; empty without one.
        opik_url: address of the collector; empty without one.
        key: API key of the service.
        secret_arn: ARN of the secret with the service's API keys.
        queue_url: URL of the queue for samples.
        runtime: process of the SageMaker runtime.
    """

    stub_url: str
    runtime_url: str
    aws_url: str
    qdrant_url: str
    opik_url: str
    key: str
    secret_arn: str
    queue_url: str
    runtime: Server

    @property
    def aws_environment(self) -> dict[str, str]:
        """Variables of a process that calls AWS: endpoints and credentials."""
        return {**_credentials(self.aws_url), "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.runtime_url}

    def service_environment(self, port: int, timetable: Timetable, *, traces_per_second: float) -> dict[str, str]:
        """Environment of `python -m services.rag`.

        Args:
            port: port to listen on.
            timetable: of the stub's answers.
            traces_per_second: tracing budget; 0 switches tracing off.
        """
        tracing = {"OPIK_URL_OVERRIDE": f"{self.opik_url}/api"} if traces_per_second else {}
        return {
            **self.aws_environment,
            **tracing,
            "STAGE": "benchmark",
            "RELEASE": "benchmark",
            "PORT": str(port),
            "BIND_HOST": LOOPBACK,
            "LLM_ENDPOINT_NAME": timetable.path,
            "LLM_MODEL_ID": "stub/model",
            "QDRANT_URL": self.qdrant_url or f"http://{LOOPBACK}:9",
            "EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL),
            "TRACES_PER_SECOND": str(traces_per_second or 1),
            "OPIK_SENTRY_ENABLE": "false",
            "OPIK_ANALYTICS_ENABLE": "false",
            "OPIK_LOG_START_TRACE_SPAN": "false",
            "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
            "SAMPLES_QUEUE_URL": self.queue_url,
            # Sampled answers are always traced, whatever the budget; production samples a few per cent.
            "SAMPLE_RATE": "0.02",
            "API_KEYS_SECRET_ARN": self.secret_arn,
        }

    @contextmanager
    def service(
        self,
        timetable: Timetable = STANDARD,
        *,
        traces_per_second: float = TRACES_PER_SECOND,
        name: str = "service",
        changes: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[Server, str]]:
        """Run the RAG service on the server's core; yields the process and its address.

        Args:
            timetable: of the stub's answers.
            traces_per_second: tracing budget; 0 switches tracing off.
            name: name in messages and of the log file.
            changes: variables that replace those of its environment.

        Raises:
            BenchmarkError: it does not start.
        """
        port = free_port()
        url = f"http://{LOOPBACK}:{port}"
        environment = self.service_environment(
            port, timetable, traces_per_second=traces_per_second if self.opik_url else 0
        )
        environment |= changes or {}
        server = Server(name, python("services.rag"), environment, f"{url}/healthz", server_core())
        try:
            yield server, url
        finally:
            server.stop()

    def ask_service(self, url: str, users: int, requests: int, timetable: Timetable = STANDARD) -> Plan:
        """Plan of streamed questions to the RAG service, without retrieval."""
        body = {"query": QUESTION, "enable_rag": False, "stream": True}
        return Plan("rag", url, body, users, requests, timetable.tokens, timetable.total_ms, key=self.key)

    def ask_directly(self, users: int, requests: int, timetable: Timetable = STANDARD) -> Plan:
        """Plan of the same questions through InvokeEndpointWithResponseStream, without the service."""
        body: dict[str, Any] = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 512}
        return Plan(
            "direct",
            self.runtime_url,
            body,
            users,
            requests,
            timetable.tokens,
            timetable.total_ms,
            endpoint=timetable.path,
        )


@contextmanager
def start_testbed(*, qdrant: bool = False, opik: bool = True) -> Iterator[Testbed]:
    """Run all servers but the service while the context is open.

    Args:
        qdrant: whether to run Qdrant and ingest the example corpus.
        opik: whether to run the collector.

    Raises:
        BenchmarkError: a server does not start, or the corpus cannot be ingested.
    """
    if not (EMBEDDING_MODEL / "model.onnx").is_file():
        raise BenchmarkError("The embedding model is missing: run `make setup`.")
    with ExitStack() as stack:

        def start(name: str, module: str, ready: str, *arguments: str, environment: Mapping[str, str]) -> Server:
            """Start a module on the other cores; it is stopped with the context."""
            server = Server(name, python(module, *arguments), environment, ready, other_cores())
            stack.callback(server.stop)
            return server

        def part(name: str, ready: str) -> str:
            """Start a server of the local cloud with an empty data folder; returns its address."""
            port = free_port()
            url = f"http://{LOOPBACK}:{port}"
            data = ("--data", str(free_folder(f"data-{name}")))
            start(
                name,
                f"localcloud.{name}",
                url + ready,
                "--port",
                str(port),
                *data,
                environment=CREDENTIALS.server_variables(),
            )
            return url

        stub_port, runtime_port = free_port(), free_port()
        stub_url, runtime_url = f"http://{LOOPBACK}:{stub_port}", f"http://{LOOPBACK}:{runtime_port}"
        start("stub", "benchmarks.stub_llm", f"{stub_url}/ping", "--port", str(stub_port), environment={})
        arguments = ("--port", str(runtime_port), "--container", stub_url)
        runtime = start("runtime", "benchmarks.runtime", f"{runtime_url}/healthz", *arguments, environment={})
        aws_url = part("emulator", "/_ministack/health")
        qdrant_url = part("qdrant", "/readyz") if qdrant else ""
        opik_url = part("opik", "/api/is-alive/ping") if opik else ""
        if qdrant:
            _ingest(qdrant_url)
        key = secrets.token_urlsafe(24)
        secret_arn, queue_url = _create_resources(aws_url, key)
        yield Testbed(stub_url, runtime_url, aws_url, qdrant_url, opik_url, key, secret_arn, queue_url, runtime)


def _credentials(aws_url: str) -> dict[str, str]:
    return {
        **CREDENTIALS.variables(),
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": LOOPBACK,
    }


def _create_resources(aws_url: str, key: str) -> tuple[str, str]:
    """Create the secret with the API key and the queue for samples; returns the secret's ARN and the queue's URL."""

    def client(service: str) -> Any:
        """boto3 client of the emulator."""
        arguments: Any = CREDENTIALS.client_arguments()
        return boto3.client(service, endpoint_url=aws_url, **arguments)

    digest = hashlib.sha256(key.encode()).hexdigest()
    keys = {"keys": [{"name": "benchmark", "sha256": digest, "requests_per_minute": REQUESTS_PER_MINUTE}]}
    secret = client("secretsmanager").create_secret(Name="benchmark-keys", SecretString=json.dumps(keys))
    queue = client("sqs").create_queue(QueueName="benchmark-samples")
    return str(secret["ARN"]), str(queue["QueueUrl"])


def _ingest(qdrant_url: str, corpus: Path = CORPUS) -> None:
    environment = {
        **base_environment(REPOSITORY),
        "QDRANT_URL": qdrant_url,
        "EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL),
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.rag.ingest", str(corpus)],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"The example corpus cannot be ingested: {done.stderr.strip()[-300:]}")
