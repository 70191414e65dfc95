"""What callers meet when a part of the deployed pipeline hangs, dies or is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from localcloud.ports import free_port
from tests.e2e.conftest import ROOT, Twin
from tests.suspend import suspended

QUESTION = "What does Bruno measure before he raises the batch size?"
T = TypeVar("T")

# The API's own limits (5 s for the store, 10 s for a retrieval) and what two busy cores add.
NO_HANG_SECONDS = 30


@pytest.fixture
def api(twin: Twin, started: dict[str, Any]) -> Iterator[httpx.Client]:
    """Straight to the service's process: the load balancer is a part of what is stopped here."""
    port = twin.process("ecs")["port"]
    with _client(port, twin.api_key()) as client:
        yield client


def test_an_engine_that_dies_mid_stream_is_an_error_event_and_the_next_question_is_answered(
    twin: Twin, api: httpx.Client
) -> None:
    engine = twin.process("sagemaker")
    with api.stream("POST", "/rag", json={"query": QUESTION, "stream": True}) as response:
        events = _events(response.iter_lines())
        for name, _ in events:
            if name == "token":
                os.kill(engine["pid"], signal.SIGKILL)
                break
        rest = list(events)
    assert rest[-1][0] == "error"
    assert rest[-1][1]["error"]["code"] == "llm_stream_broken"
    _until(lambda: twin.process("sagemaker")["pid"], lambda pid: pid != engine["pid"])
    assert _until_answered(api)["sources"]


def test_a_collector_that_hangs_costs_callers_nothing_and_loses_no_trace(twin: Twin, api: httpx.Client) -> None:
    with suspended(twin.process("platform", "opik")["pid"]):
        answer = _ask(api)
        assert answer.status_code == 200, answer.text
        assert answer.json()["timings"]["total_ms"] < 10_000
    trace_id = answer.json()["trace_id"]
    shown = _until(lambda: twin.run("trace", trace_id), lambda done: done.returncode == 0, seconds=60)
    assert "call_llm_service" in shown.stdout


def test_a_store_that_hangs_is_503_in_time_and_named_by_readyz(twin: Twin, api: httpx.Client) -> None:
    with suspended(twin.process("platform", "qdrant")["pid"]):
        started = time.monotonic()
        refused = _ask(api)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "retrieval_unavailable"
        assert time.monotonic() - started < NO_HANG_SECONDS
        assert _ask(api, enable_rag=False).status_code == 200
        # The state from before the fault may be known for some seconds more.
        ready = _until(lambda: api.get("/readyz"), lambda response: response.status_code == 503)
        assert ready.json()["dependencies"]["qdrant"]["state"] == "down"
    assert _until_answered(api)["sources"]


def test_a_store_that_is_killed_comes_back_with_its_documents(twin: Twin, api: httpx.Client) -> None:
    store = twin.process("platform", "qdrant")
    os.kill(store["pid"], signal.SIGKILL)
    back = _until(lambda: twin.process("platform", "qdrant"), lambda found: found["pid"] != store["pid"])
    assert back["restarts"] == store["restarts"] + 1
    assert back["port"] == store["port"]
    assert _until_answered(api)["sources"]


def test_a_queue_that_hangs_costs_callers_nothing_and_loses_no_sample(
    twin: Twin, api: httpx.Client, started: dict[str, Any]
) -> None:
    """The emulator stands for SQS, Secrets Manager and the load balancer at once: all of them hang."""
    with suspended(twin.process("platform", "aws")["pid"]):
        answers = [_ask(api) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert all(answer.json()["timings"]["total_ms"] < 10_000 for answer in answers)
    asked = {answer.json()["trace_id"] for answer in answers}
    collected = _until(lambda: _collected(started) & asked, lambda found: found == asked, seconds=90)
    assert collected == asked


def test_a_missing_endpoint_is_a_clear_503(twin: Twin, started: dict[str, Any], tmp_path: Path) -> None:
    with (
        _sibling(twin, tmp_path, LLM_ENDPOINT_NAME="twin-local-gone") as port,
        _client(port, twin.api_key()) as client,
    ):
        refused = _ask(client)
        ready = client.get("/readyz")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "llm_endpoint_not_found"
    assert "twin-local-gone" in refused.json()["error"]["message"]
    assert ready.json()["dependencies"]["llm"]["state"] == "down"


def test_samples_for_a_queue_that_never_answers_are_counted_when_the_service_stops(
    twin: Twin, started: dict[str, Any], tmp_path: Path
) -> None:
    gone = started["outputs"]["SamplesQueueUrl"] + "-gone"
    with _sibling(twin, tmp_path, SAMPLES_QUEUE_URL=gone) as port, _client(port, twin.api_key()) as client:
        assert _ask(client).status_code == 200
        assert client.get("/readyz").json()["dependencies"]["samples_queue"]["state"] == "down"
    log = (tmp_path / "sibling.log").read_text()
    lost = [json.loads(line) for line in log.splitlines() if "samples are lost" in line]
    assert [entry["samples"] for entry in lost] == [1]


def test_fifty_callers_of_a_slept_endpoint_wake_it_once_and_are_all_answered(
    twin: Twin, api: httpx.Client, started: dict[str, Any]
) -> None:
    component = started["outputs"]["InferenceComponentName"]
    sagemaker = twin.client("sagemaker")
    sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=component, DesiredRuntimeConfig={"CopyCount": 0}
    )
    _until(lambda: [p for p in twin.state()["processes"] if p["kind"] == "sagemaker"], lambda found: not found)

    def streamed(number: int) -> list[str]:
        body = {"query": f"{QUESTION} ({number})", "stream": True}
        with api.stream("POST", "/rag", json=body, timeout=120) as response:
            assert response.status_code == 200, response.read()
            return [name if name != "status" else data["state"] for name, data in _events(response.iter_lines())]

    def whole(number: int) -> httpx.Response:
        return api.post("/rag", json={"query": f"{QUESTION} ({number})"}, timeout=120)

    began = time.monotonic()
    with ThreadPoolExecutor(50) as threads:
        streams = [threads.submit(streamed, number) for number in range(40)]
        others = [threads.submit(whole, number) for number in range(10)]
        told = [stream.result() for stream in streams]
        assert [other.result().status_code for other in others] == [200] * 10
    assert time.monotonic() - began > 20
    assert all("waking" in names and names[-1] == "done" for names in told)
    described = sagemaker.describe_inference_component(InferenceComponentName=component)
    assert described["RuntimeConfig"]["DesiredCopyCount"] == 1
    assert len([p for p in twin.state()["processes"] if p["kind"] == "sagemaker"]) == 1


@contextmanager
def _sibling(twin: Twin, folder: Path, **changed: str) -> Iterator[int]:
    """One more task of the deployed service, with its environment changed; yields its port."""
    port = free_port()
    deployed = psutil.Process(twin.process("ecs")["pid"])
    command = [sys.executable, *deployed.cmdline()[1:]]
    with (folder / "sibling.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**deployed.environ(), "PORT": str(port), **changed}, stdout=log, stderr=log
        )
        try:
            _until(lambda: _healthy(port), bool)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


def _healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _client(port: int, key: str) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=NO_HANG_SECONDS,
        trust_env=False,
    )


def _ask(client: httpx.Client, *, enable_rag: bool = True) -> httpx.Response:
    return client.post("/rag", json={"query": QUESTION, "enable_rag": enable_rag})


def _until_answered(client: httpx.Client) -> dict[str, Any]:
    answer = _until(lambda: _ask(client), lambda response: response.status_code == 200, seconds=60)
    found: dict[str, Any] = answer.json()
    return found


def _events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def _collected(started: dict[str, Any]) -> set[str]:
    opik = started["urls"]["Traces (Opik)"]
    with httpx.Client(base_url=f"{opik}/api/v1/private", timeout=10, trust_env=False) as client:
        body = {"dataset_name": "LLMTwinMonitoringDataset", "stream": True}
        response = client.post("/datasets/items/stream", json=body)
    # The first sample creates the dataset, so that there may be none yet.
    lines = response.text.splitlines() if response.status_code == 200 else []
    return {str(json.loads(line)["id"]) for line in lines if line.strip()}


def _until(read: Callable[[], T], good: Callable[[T], bool], seconds: float = 30) -> T:
    deadline = time.monotonic() + seconds
    while not good(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found
