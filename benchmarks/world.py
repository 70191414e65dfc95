"""Everything around the server under test: stub, runtime, AWS emulator, Qdrant, collector; and the service itself."""

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
from localcloud.ports import free_port
from localcloud.process import REPOSITORY, base_environment
from twin.target.paths import CORPUS, EMBEDDING_MODEL

REGION = "us-east-1"
QUESTION = "Why does Ada keep the health check timeout so long?"
TRACES_PER_SECOND = 10
"""The tracing budget that the service has unless told otherwise."""
# Benchmarks ask as fast as they can: a limit per key would measure the limit.
REQUESTS_PER_MINUTE = 10_000_000


@dataclass(frozen=True)
class World:
    """Addresses of what runs.

    Attributes:
        stub_url: the stub LLM itself, for servers that speak OpenAI to it.
        runtime_url: the SageMaker runtime over the stub.
        aws_url: the AWS emulator (Secrets Manager, SQS).
        qdrant_url: the local Qdrant, filled with the example corpus; empty when it was not asked for.
        opik_url: the collector; empty when it was not asked for.
        key: an API key of the service.
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
        """What the platform gives a process."""
        return {**_credentials(self.aws_url), "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.runtime_url}

    def service_environment(self, port: int, timetable: Timetable, *, traces_per_second: float) -> dict[str, str]:
        """The environment of `python -m services.rag`. A budget of 0 switches tracing off altogether."""
        tracing = {"OPIK_URL_OVERRIDE": f"{self.opik_url}/api"} if traces_per_second else {}
        return {
            **self.aws_environment,
            **tracing,
            "STAGE": "benchmark",
            "RELEASE": "benchmark",
            "PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "LLM_ENDPOINT_NAME": timetable.path,
            "LLM_MODEL_ID": "stub/model",
            "QDRANT_URL": self.qdrant_url or "http://127.0.0.1:9",
            "EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL),
            "TRACES_PER_SECOND": str(traces_per_second or 1),
            "OPIK_SENTRY_ENABLE": "false",
            "OPIK_ANALYTICS_ENABLE": "false",
            "OPIK_LOG_START_TRACE_SPAN": "false",
            "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
            "SAMPLES_QUEUE_URL": self.queue_url,
            # The sampled share is always traced, whatever the budget: production samples a few per cent.
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
        """The RAG service on the server's core, and its address; `changes` are made to its environment."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
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
        """Questions to the RAG service without retrieval, streamed."""
        body = {"query": QUESTION, "enable_rag": False, "stream": True}
        return Plan("rag", url, body, users, requests, timetable.tokens, timetable.total_ms, key=self.key)

    def ask_directly(self, users: int, requests: int, timetable: Timetable = STANDARD) -> Plan:
        """The same through InvokeEndpointWithResponseStream, with nothing between."""
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
def stand_up(*, qdrant: bool = False, opik: bool = True) -> Iterator[World]:
    """Start everything, hand it over, stop it.

    Raises:
        BenchmarkError: something does not start.
    """
    if not (EMBEDDING_MODEL / "model.onnx").is_file():
        raise BenchmarkError("The embedding model is missing: run `make setup`.")
    with ExitStack() as stack:

        def start(name: str, module: str, ready: str, *arguments: str, environment: Mapping[str, str]) -> Server:
            server = Server(name, python(module, *arguments), environment, ready, other_cores())
            stack.callback(server.stop)
            return server

        def part(name: str, ready: str) -> str:
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            data = ("--data", str(free_folder(f"data-{name}")))
            start(name, f"localcloud.{name}", url + ready, "--port", str(port), *data, environment={})
            return url

        stub_port, runtime_port = free_port(), free_port()
        stub_url, runtime_url = f"http://127.0.0.1:{stub_port}", f"http://127.0.0.1:{runtime_port}"
        start("stub", "benchmarks.stub_llm", f"{stub_url}/ping", "--port", str(stub_port), environment={})
        arguments = ("--port", str(runtime_port), "--container", stub_url)
        runtime = start("runtime", "benchmarks.runtime", f"{runtime_url}/healthz", *arguments, environment={})
        aws_url = part("emulator", "/_ministack/health")
        qdrant_url = part("qdrant", "/readyz") if qdrant else ""
        opik_url = part("opik", "/api/is-alive/ping") if opik else ""
        if qdrant:
            _ingest(qdrant_url)
        key = secrets.token_urlsafe(24)
        secret_arn, queue_url = _declare(aws_url, key)
        yield World(stub_url, runtime_url, aws_url, qdrant_url, opik_url, key, secret_arn, queue_url, runtime)


def _credentials(aws_url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


def _declare(aws_url: str, key: str) -> tuple[str, str]:
    """Store the key as the service expects it, and make the samples queue; the secret's ARN and the queue's URL."""

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=aws_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
        )

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
