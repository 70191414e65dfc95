"""The container contract over a real socket, with every engine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from localcloud.ports import free_port
from localcloud.process import answers
from services.common.settings import ConfigurationError
from services.llm.app import create_app
from services.llm.engines.base import Engine
from services.llm.engines.confabulating import ConfabulatingEngine
from services.llm.engines.extractive import ABSTAIN, NO_CONTEXT
from services.llm.engines.factory import create_engine
from services.llm.engines.openai import OpenAiEngine
from services.llm.settings import LlmSettings
from tests.openai_server import openai_server

JSON = {"Content-Type": "application/json"}
Serving = Callable[[Engine], AbstractContextManager[str]]

PROMPT = (
    "<context>\n"
    '<document id="1" title="Bees">\n# Bees\n\nBees dance to tell the hive about nectar. The dance is quick.\n'
    "</document>\n"
    '<document id="2" title="Timeouts">\nAda keeps the health check timeout at 900 seconds. Weights load slowly.\n'
    "</document>\n</context>\n<question>\n{question}\n</question>"
)


def ask(url: str, text: str, **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "system", "content": "Answer."}, {"role": "user", "content": text}], **fields}
    return httpx.post(f"{url}/invocations", json=body, timeout=20)


def answer_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


def events_of(response: httpx.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in response.text.splitlines() if line]


QUESTION = PROMPT.format(question="What health check timeout does Ada keep?")


def test_answers_by_quoting_with_a_citation(extractive: str) -> None:
    response = ask(extractive, QUESTION)
    assert answer_of(response) == "Ada keeps the health check timeout at 900 seconds. Weights load slowly. [2]"
    body = response.json()
    assert body["model"] == "model-under-test"
    assert body["choices"][0]["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["completion_tokens"] == 13
    assert usage["total_tokens"] == usage["prompt_tokens"] + 13


def test_abstains_and_is_honest_without_context(extractive: str) -> None:
    assert answer_of(ask(extractive, PROMPT.format(question="Who won the chess final in Reykjavik?"))) == ABSTAIN
    assert answer_of(ask(extractive, "<context>\n</context>\n<question>\nWhy?\n</question>")) == ABSTAIN
    assert answer_of(ask(extractive, "What is vLLM?")) == NO_CONTEXT


def test_streams_the_same_answer_word_by_word(extractive: str) -> None:
    response = ask(extractive, QUESTION, stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *lines, done = events_of(response)
    assert done == "[DONE]"
    *chunks, finish, usage = [json.loads(line) for line in lines]
    pieces = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    assert "".join(pieces) == answer_of(ask(extractive, QUESTION))
    assert len([piece for piece in pieces if piece]) == usage["usage"]["completion_tokens"]
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_no_usage_chunk_unless_asked_for(extractive: str) -> None:
    assert '"usage"' not in ask(extractive, QUESTION, stream=True).text


def test_token_limit_and_stop(extractive: str) -> None:
    limited = ask(extractive, QUESTION, max_tokens=3).json()
    assert limited["choices"][0]["message"]["content"] == "Ada keeps the"
    assert limited["choices"][0]["finish_reason"] == "length"
    stopped = ask(extractive, QUESTION, stop=["never there", " timeout"]).json()
    assert stopped["choices"][0]["message"]["content"] == "Ada keeps the health check"
    assert stopped["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'{"messages": []}', "'messages'"),
        (b'{"messages": [{"role": "wizard", "content": "x"}]}', "messages.0.role"),
        (b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}', "'max_tokens'"),
        (b'{"messages": [{"role": "user", "content": "x"}], "stop": ["a","b","c","d","e"]}', "'stop'"),
        (b'{"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_object"}}', "response_f"),
        (b'{"messages": [{"role": "user", "content": " "}], "stream": true}', "no question"),
    ],
)
def test_bad_bodies_get_400_and_what_is_wrong(extractive: str, body: bytes, says: str) -> None:
    response = httpx.post(f"{extractive}/invocations", content=body, headers=JSON)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert says in error["message"]


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "", None],
)
def test_what_a_page_may_send_to_another_site_without_asking_is_415(extractive: str, kind: str | None) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hello?"}]}).encode()
    headers = {} if kind is None else {"Content-Type": kind}
    refused = httpx.post(f"{extractive}/invocations", content=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["type"]) == (415, "invalid_request_error")
    for accepted in ("application/json", "Application/JSON; charset=utf-8"):
        headers = {"Content-Type": accepted}
        assert httpx.post(f"{extractive}/invocations", content=body, headers=headers, timeout=20).status_code == 200


def test_unknown_paths_and_huge_bodies_are_told_in_the_same_shape(extractive: str) -> None:
    assert httpx.get(f"{extractive}/nowhere").json()["error"]["code"] == 404
    assert httpx.get(f"{extractive}/invocations").json()["error"]["code"] == 405
    response = httpx.post(f"{extractive}/invocations", content=b" " * (6 * 1024 * 1024 + 1), headers=JSON)
    assert response.status_code == 413


def test_not_ready_until_the_engine_is_loaded(endless: Any, serving_app: Any) -> None:
    with serving_app(create_app(endless, "m")) as url:
        assert httpx.get(f"{url}/ping").status_code == 503
        assert ask(url, "hello").status_code == 503
        endless.ready.set()


def test_a_client_that_leaves_ends_the_work(endless: Any, serving: Serving) -> None:
    endless.ready.set()
    with serving(endless) as url:
        body = {"messages": [{"role": "user", "content": "go"}], "stream": True}
        with httpx.stream("POST", f"{url}/invocations", json=body) as response:
            lines = response.iter_lines()
            assert next(lines).startswith("data: ")
            assert not endless.closed.is_set()
        assert endless.closed.wait(30), "the engine kept generating without a caller"
        assert httpx.get(f"{url}/ping").status_code == 200


def test_a_crash_in_mid_stream_is_an_error_event_without_details(endless: Any, serving: Serving) -> None:
    endless.ready.set()
    with serving(endless) as url:
        streamed = ask(url, "crash", stream=True)
        whole = ask(url, "crash")
    last = json.loads(events_of(streamed)[-1])
    assert last["error"]["code"] == 500
    assert "[DONE]" not in streamed.text
    assert whole.status_code == 500
    assert "secret" not in streamed.text + whole.text


def test_the_drill_engine_ignores_the_context_and_repeats_itself(serving: Serving) -> None:
    with serving(ConfabulatingEngine(0)) as url:
        first, again = answer_of(ask(url, QUESTION)), answer_of(ask(url, QUESTION))
        other = answer_of(ask(url, PROMPT.format(question="How does RRF work?")))
    assert first == again != other
    assert "900" not in first


def upstream_over(target: str) -> FastAPI:
    """A tiny OpenAI-compatible server in front of another instance's /invocations; records what it was sent."""
    app = FastAPI()
    app.state.seen = []

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        app.state.seen.append((request.headers.get("authorization"), json.loads(await request.body())))
        model = app.state.seen[-1][1]["model"]
        if model == "busy":
            return JSONResponse({"error": {"message": "Slow down."}}, 429)
        if model == "locked":
            return JSONResponse({"error": {"message": "key sk-123 is wrong"}}, 401)
        if model == "short":
            return Response(b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n', media_type="text/event-stream")
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{target}/invocations", content=await request.body(), headers=JSON)
        return Response(answer.content, answer.status_code, media_type=answer.headers["content-type"])

    return app


def test_forwards_to_an_openai_compatible_server(extractive: str, serving: Serving, serving_app: Any) -> None:
    upstream = upstream_over(extractive)
    with serving_app(upstream) as base, serving(OpenAiEngine(f"{base}/v1/", "key", "theirs", 10)) as url:
        direct, through = ask(extractive, QUESTION), ask(url, QUESTION, seed=7)
        limited = ask(url, QUESTION, max_tokens=2, stream=True)
    assert answer_of(through) == answer_of(direct)
    assert through.json()["usage"] == direct.json()["usage"]
    assert '"length"' in limited.text
    authorization, body = upstream.state.seen[0]
    assert authorization == "Bearer key"
    assert (body["model"], body["seed"]) == ("theirs", 7)


def engine_at(base: str) -> OpenAiEngine:
    return OpenAiEngine(f"{base}/v1", None, "m", 10)


@pytest.mark.parametrize("counts", [True, False])
def test_token_counts_are_the_upstreams_or_none(serving: Serving, serving_app: Any, counts: bool) -> None:
    """Zeros would be counts as well; without any, whoever asked estimates them."""
    with serving_app(openai_server(("m",), counts=counts)) as base, serving(engine_at(base)) as url:
        whole = ask(url, "hello").json()
        streamed = ask(url, "hello", stream=True, stream_options={"include_usage": True})
    assert ("usage" in whole) is ('"usage"' in streamed.text) is counts
    assert whole["choices"][0]["message"]["content"] == "Written by the small model."


def test_the_key_of_an_upstream_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-2\n")
    given = {"llm_engine": "openai", "llm_openai_base_url": "http://127.0.0.1:9/v1", "llm_openai_key_file": file}
    assert LlmSettings(**given).upstream_key() == "sk-2"
    assert LlmSettings(**given, llm_openai_api_key="sk-1").upstream_key() == "sk-1"
    file.unlink()
    with pytest.raises(ConfigurationError, match="LLM_OPENAI_KEY_FILE is wrong"):
        create_engine(LlmSettings(**given))


@pytest.mark.parametrize(("model", "status"), [("busy", 429), ("locked", 502), ("short", 502)])
def test_upstream_errors_are_mapped(
    extractive: str, serving: Serving, serving_app: Any, model: str, status: int
) -> None:
    with serving_app(upstream_over(extractive)) as base, serving(OpenAiEngine(f"{base}/v1", None, model, 10)) as url:
        response = ask(url, QUESTION)
    assert response.status_code == status
    assert "sk-123" not in response.text


def test_an_upstream_that_is_gone_is_502(serving: Serving) -> None:
    with serving(OpenAiEngine("http://127.0.0.1:9/v1", None, None, 1)) as url:
        assert ask(url, "hello", stream=True).status_code == 502


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, "EMBEDDING_MODEL_DIR is not set"),
        ({"EMBEDDING_MODEL_DIR": "/nonexistent"}, "EMBEDDING_MODEL_DIR is wrong"),
        ({"LLM_ENGINE": "oracle"}, "LLM_ENGINE is wrong"),
        ({"LLM_ENGINE": "openai"}, "LLM_OPENAI_BASE_URL is not set"),
        ({"LLM_ENGINE": "openai", "LLM_OPENAI_BASE_URL": "host"}, "LLM_OPENAI_BASE_URL is wrong"),
        ({"SAGEMAKER_BIND_TO_PORT": "0"}, "SAGEMAKER_BIND_TO_PORT is wrong"),
    ],
)
def test_a_wrong_environment_is_one_sentence_and_exit_code_78(variables: dict[str, str], names: str) -> None:
    command = [sys.executable, "-m", "services.llm"]
    result = subprocess.run(command, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True)
    assert result.returncode == 78
    assert result.stderr.startswith("Configuration error: ")
    assert names in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_process_answers_half_a_request_with_408() -> None:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "LLM_ENGINE": "confabulating", "SAGEMAKER_BIND_TO_PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "services.llm"], env=environment) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(f"http://127.0.0.1:{port}/ping"):
                assert process.poll() is None and time.monotonic() < deadline, "the service did not start"
                time.sleep(0.1)
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(b"GET /ping HTTP/1.1\r\nHost: loc")
                assert connection.recv(4096).startswith(b"HTTP/1.1 408")
        finally:
            process.kill()
