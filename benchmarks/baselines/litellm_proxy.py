"""Baseline: LiteLLM proxy in front of the same endpoint, with one uvicorn worker, a master key and no telemetry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from benchmarks.load import Plan
from benchmarks.processes import Server, free_folder, server_core
from benchmarks.stub_llm import STANDARD, Timetable
from benchmarks.testbed import QUESTION, Testbed
from localcloud.ports import LOOPBACK, free_port

Upstream = Literal["sagemaker", "openai"]

MODEL_NAME = "twin"


def _parameters(testbed: Testbed, upstream: Upstream, timetable: Timetable) -> dict[str, str]:
    if upstream == "openai":
        return {
            "model": "openai/stub",
            "api_base": f"{testbed.stub_url}/{timetable.path}/v1",
            "api_key": "none",
        }
    url = f"{testbed.runtime_url}/endpoints/{timetable.path}/invocations-response-stream"
    return {"model": f"sagemaker_chat/{timetable.path}", "sagemaker_base_url": url}


@contextmanager
def serve(
    testbed: Testbed, python: Path, upstream: Upstream, timetable: Timetable = STANDARD
) -> Iterator[tuple[Server, str]]:
    """Run the proxy on the server's core; yields the process and its address.

    Args:
        testbed: addresses of stub and runtime.
        python: interpreter of the benchmark environment.
        upstream: "sagemaker" calls the SageMaker runtime, as the service does; "openai" calls the stub directly,
            without the runtime, signatures and event-stream frames.
        timetable: of the stub's answers.

    Raises:
        BenchmarkError: it does not start.
    """
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    config = {
        "model_list": [{"model_name": MODEL_NAME, "litellm_params": _parameters(testbed, upstream, timetable)}],
        "general_settings": {"master_key": master_key(testbed)},
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    # JSON is YAML.
    file = free_folder(f"litellm-{upstream}") / "config.yaml"
    file.write_text(json.dumps(config))
    command = [str(python.with_name("litellm")), "--config", str(file), "--host", LOOPBACK, "--port", str(port)]
    environment = {
        **testbed.aws_environment,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR",
        "DISABLE_ADMIN_UI": "True",
        "NO_DOCS": "True",
    }
    server = Server(f"litellm-{upstream}", command, environment, f"{url}/health/liveliness", server_core())
    try:
        yield server, url
    finally:
        server.stop()


def master_key(testbed: Testbed) -> str:
    """The service's key in the form that the proxy requires."""
    return f"sk-{testbed.key}"


def ask(testbed: Testbed, url: str, users: int, requests: int, timetable: Timetable = STANDARD) -> Plan:
    """Plan of the service's questions in OpenAI's form, streamed."""
    body = {
        "model": MODEL_NAME,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 512,
        "stream": True,
    }
    path = "/v1/chat/completions"
    key = master_key(testbed)
    return Plan("openai", url, body, users, requests, timetable.tokens, timetable.total_ms, path=path, key=key)
