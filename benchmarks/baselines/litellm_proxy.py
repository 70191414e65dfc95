"""LiteLLM proxy as a user would put it before the same endpoint: one uvicorn worker, a master key, no telemetry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from benchmarks.load import Plan
from benchmarks.processes import Server, free_folder, server_core
from benchmarks.stub_llm import STANDARD, Timetable
from benchmarks.world import QUESTION, World
from localcloud.ports import free_port

Upstream = Literal["sagemaker", "openai"]

MODEL_NAME = "twin"


def _parameters(world: World, upstream: Upstream, timetable: Timetable) -> dict[str, str]:
    if upstream == "openai":
        return {
            "model": "openai/stub",
            "api_base": f"{world.stub_url}/{timetable.path}/v1",
            "api_key": "none",
        }
    url = f"{world.runtime_url}/endpoints/{timetable.path}/invocations-response-stream"
    return {"model": f"sagemaker_chat/{timetable.path}", "sagemaker_base_url": url}


@contextmanager
def serve(
    world: World, python: Path, upstream: Upstream, timetable: Timetable = STANDARD
) -> Iterator[tuple[Server, str]]:
    """The proxy on the server's core, and its address.

    Args:
        world: where stub and runtime are.
        python: interpreter of the benchmark environment.
        upstream: "sagemaker" goes through the SageMaker runtime, as the service does; "openai" goes to the stub
            itself, which spares the proxy a hop, signatures and event-stream frames.
        timetable: of the stub.

    Raises:
        BenchmarkError: it does not start.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = {
        "model_list": [{"model_name": MODEL_NAME, "litellm_params": _parameters(world, upstream, timetable)}],
        "general_settings": {"master_key": master_key(world)},
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    # JSON is YAML.
    file = free_folder(f"litellm-{upstream}") / "config.yaml"
    file.write_text(json.dumps(config))
    command = [str(python.with_name("litellm")), "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        **world.aws_environment,
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


def master_key(world: World) -> str:
    """A key in the shape that the proxy asks for."""
    return f"sk-{world.key}"


def ask(world: World, url: str, users: int, requests: int, timetable: Timetable = STANDARD) -> Plan:
    """The service's question in OpenAI's shape, streamed."""
    body = {
        "model": MODEL_NAME,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 512,
        "stream": True,
    }
    path = "/v1/chat/completions"
    key = master_key(world)
    return Plan("openai", url, body, users, requests, timetable.tokens, timetable.total_ms, path=path, key=key)
