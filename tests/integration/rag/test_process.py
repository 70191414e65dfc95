"""The commands, as processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from localcloud.ports import free_port
from tests.aws import aws_environment
from tests.integration.rag.conftest import DOCUMENTS
from tests.integration.rag.fake_qdrant import Qdrant
from tests.integration.rag.fakes import KEY, Cloud, Opik
from tests.integration.rag.local_servers import PATIENT

ROOT = Path(__file__).parents[3]


@pytest.fixture
def servers() -> Iterator[tuple[Cloud, Qdrant, Opik]]:
    found = (Cloud(), Qdrant(), Opik())
    yield found
    for server in found:
        server.stop()


def test_ingest_ask_and_stop_without_losing_a_trace_or_sample(
    servers: tuple[Cloud, Qdrant, Opik], embedding_model: Path, corpus: Path
) -> None:
    cloud, _, opik = servers
    env = _environment(servers, embedding_model)
    ingested = subprocess.run(
        [sys.executable, "-m", "services.rag.ingest", str(corpus), "--progress-json"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(ingested.stdout)["added"] == len(DOCUMENTS)
    assert json.loads(ingested.stderr.splitlines()[-1]) == {"done": len(DOCUMENTS), "total": len(DOCUMENTS)}

    with _serving(env) as (process, client):
        question = "Why is the health check timeout so long?"
        answers = [client.post("/rag", json={"query": question}).json() for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert "health check" in answers[0]["sources"][0]["title"].lower()
    trace_ids = {answer["trace_id"] for answer in answers}
    assert set(opik.traces) == trace_ids == {sample["trace_id"] for sample in cloud.samples}
    lines = [json.loads(line) for line in output.splitlines()]
    assert {line.get("trace_id") for line in lines if line["message"] == "question answered"} == trace_ids
    assert question not in output and KEY not in output


def test_a_stop_lets_a_running_stream_end(servers: tuple[Cloud, Qdrant, Opik], embedding_model: Path) -> None:
    servers[0].mode = "slow"
    with _serving(_environment(servers, embedding_model)) as (process, client):
        body = {"query": "Why?", "enable_rag": False, "stream": True}
        with client.stream("POST", "/rag", json=body) as response:
            lines = response.iter_lines()
            while next(lines) != "event: token":
                pass
            process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert [line for line in rest if line.startswith("event: ")][-1] == "event: done"
        assert process.wait(30) == -signal.SIGTERM  # how uvicorn ends once all is closed


def test_a_stop_sends_away_who_waits_for_the_model(servers: tuple[Cloud, Qdrant, Opik], embedding_model: Path) -> None:
    servers[0].mode = "no_capacity"
    with _serving(_environment(servers, embedding_model, DRAIN_SECONDS="60")) as (process, client):
        body = {"query": "Why?", "enable_rag": False, "stream": True}
        with client.stream("POST", "/rag", json=body) as response:
            lines = response.iter_lines()
            while "waking" not in next(lines):
                pass
            process.send_signal(signal.SIGTERM)
            rest = "\n".join(lines)
        assert "llm_no_capacity" in rest and "being replaced" in rest
        assert process.wait(30) == -signal.SIGTERM  # how uvicorn ends once all is closed


def test_an_idle_connection_is_kept_as_long_as_the_environment_says(
    servers: tuple[Cloud, Qdrant, Opik], embedding_model: Path
) -> None:
    with _serving(_environment(servers, embedding_model, KEEP_ALIVE_SECONDS="7")) as (_, client):
        address = (client.base_url.host, client.base_url.port)
        assert address[1] is not None
        with socket.create_connection((address[0], address[1]), timeout=30) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                part = connection.recv(4096)
                assert part, answer
                answer += part
            assert answer.startswith(b"HTTP/1.1 200")
            idle = time.monotonic()
            assert connection.recv(4096) == b""
        # uvicorn's own default is 5 s.
        assert time.monotonic() - idle > 6


def test_half_a_request_is_answered_408_and_keeps_no_other_out(
    servers: tuple[Cloud, Qdrant, Opik], embedding_model: Path
) -> None:
    with _serving(_environment(servers, embedding_model)) as (_, client):
        address = ("127.0.0.1", client.base_url.port or 0)
        halves = [socket.create_connection(address, timeout=30) for _ in range(200)]
        for connection in halves:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        began = time.monotonic()
        assert client.get("/healthz").status_code == 200
        assert time.monotonic() - began < 2
        for connection in halves:
            with connection:
                assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def _environment(servers: tuple[Cloud, Qdrant, Opik], embedding_model: Path, **changed: str) -> dict[str, str]:
    cloud, qdrant, opik = servers
    return {
        "PATH": os.environ["PATH"],
        **aws_environment(cloud.url, "eu-west-1"),
        "STAGE": "test",
        "RELEASE": "r1",
        "PORT": str(free_port()),
        "BIND_HOST": "127.0.0.1",
        "LLM_ENDPOINT_NAME": "twin",
        "LLM_MODEL_ID": "test/model",
        "QDRANT_URL": qdrant.url,
        **PATIENT,
        "EMBEDDING_MODEL_DIR": str(embedding_model),
        "OPIK_URL_OVERRIDE": f"{opik.url}/api",
        "SAMPLES_QUEUE_URL": f"{cloud.url}/1/samples",
        "API_KEYS_SECRET_ARN": "arn:keys",
        **changed,
    }


@contextmanager
def _serving(env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    command = [sys.executable, "-m", "services.rag"]
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"http://127.0.0.1:{env['PORT']}"
    with (
        subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False) as client,
    ):
        try:
            _wait_until_up(client, process)
            yield process, client
        finally:
            process.kill()


def _wait_until_up(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the service ended"
        try:
            assert client.get("/healthz").status_code == 200
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the service did not start")


@pytest.mark.parametrize(
    ("command", "environment", "expected"),
    [
        (["services.rag"], {}, "LLM_ENDPOINT_NAME is not set"),
        (["services.rag.ingest", "."], {}, "QDRANT_URL is not set"),
        (
            ["services.rag.ingest", "."],
            {"QDRANT_URL": "http://127.0.0.1:1", "EMBEDDING_MODEL_DIR": "/nowhere"},
            "EMBEDDING_MODEL_DIR",
        ),
    ],
)
def test_a_wrong_environment_is_one_sentence(command: list[str], environment: dict[str, str], expected: str) -> None:
    env = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(
        [sys.executable, "-m", *command], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 78
    assert done.stderr.startswith("Configuration error: ")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
