"""The sink as a process of its own, as the supervisor starts it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.ports import free_port
from localcloud.sink.store import MessageStore


@contextmanager
def running(folder: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    port = free_port()
    command = [sys.executable, "-m", "localcloud.sink", "--host", "127.0.0.1", "--port", str(port), "--data", folder]
    process = subprocess.Popen(command)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5, trust_env=False)
    try:
        for _ in range(200):
            assert process.poll() is None, "the sink did not start"
            try:
                client.get("/healthz").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client, process
    finally:
        client.close()
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(tmp_path_factory.mktemp("sink")) as (client, _):
        yield client


def last_id(sink: httpx.Client) -> int:
    return int(sink.get("/messages").json()["last"])


def since(sink: httpx.Client, after: int) -> list[dict[str, Any]]:
    return list(sink.get("/messages", params={"after": after}).json()["messages"])


def test_slack_webhook_answers_ok_and_is_recorded(sink: httpx.Client) -> None:
    before = last_id(sink)
    response = sink.post("/slack/services/T0/B0/x", json={"text": "Quality dropped"})
    assert (response.status_code, response.text) == (200, "ok")
    (message,) = since(sink, before)
    assert message["kind"] == "slack"
    assert message["path"] == "/slack/services/T0/B0/x"
    assert message["json"] == {"text": "Quality dropped"}


@pytest.mark.parametrize(("body", "answer"), [("not json", "invalid_payload"), ("{}", "no_text")])
def test_what_slack_refuses_is_refused_and_not_recorded(sink: httpx.Client, body: str, answer: str) -> None:
    before = last_id(sink)
    response = sink.post("/slack/hook", content=body)
    assert (response.status_code, response.text) == (400, answer)
    assert since(sink, before) == []


def test_sentry_envelope_gzipped(sink: httpx.Client) -> None:
    before = last_id(sink)
    event_id = "9ec79c33ec9942ab8353589fcb2e04dc"
    envelope = f'{{"event_id":"{event_id}"}}\n{{"type":"event"}}\n{{"message":"boom"}}\n'
    response = sink.post(
        "/api/42/envelope/", content=gzip.compress(envelope.encode()), headers={"Content-Encoding": "gzip"}
    )
    assert response.json() == {"id": event_id}
    (message,) = since(sink, before)
    assert (message["kind"], message["body"], message["json"]) == ("sentry", envelope, None)


def test_too_large_and_damaged_bodies_are_refused(sink: httpx.Client) -> None:
    before = last_id(sink)
    packed = {"Content-Encoding": "gzip"}
    assert sink.post("/hook", content=b"x" * (1024 * 1024 + 1)).status_code == 413
    assert sink.post("/hook", content=gzip.compress(b"x" * (1024 * 1024 + 1)), headers=packed).status_code == 413
    assert sink.post("/hook", content=b"plain", headers=packed).status_code == 400
    assert since(sink, before) == []


def test_page_renders_blocks_and_escapes_everything(sink: httpx.Client) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "<script>alert(1)</script>"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": '<https://example.org/a?b="c|the "run> 1 &lt; 2'}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "<javascript:alert(1)|bad>"}]},
    ]
    sink.post("/slack/hook", json={"blocks": blocks})
    sink.post("/hook", content="<img src=x onerror=alert(1)>")
    response = sink.get("/")
    page = response.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page and "<img" not in page
    assert '<a href="https://example.org/a?b=&quot;c" rel="noreferrer noopener">the &quot;run</a> 1 &lt; 2' in page
    assert 'href="javascript' not in page
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe-inline" not in policy


def test_wrong_question_gets_a_sentence(sink: httpx.Client) -> None:
    response = sink.get("/messages", params={"after": "x"})
    assert response.status_code == 400
    assert "whole number" in response.json()["error"]


def test_messages_survive_a_kill(tmp_path: Path) -> None:
    with running(tmp_path) as (client, process):
        client.post("/slack/hook", json={"text": "one"})
        process.kill()
        process.wait(10)
    with (tmp_path / "messages.jsonl").open("a") as file:
        file.write('{"id": 2, "received')  # what a kill in the middle of a write leaves behind
    with running(tmp_path) as (client, _):
        client.post("/slack/hook", json={"text": "two"})
        assert [(m["id"], m["json"]["text"]) for m in since(client, 0)] == [(1, "one"), (2, "two")]


def test_store_is_bounded_and_never_reuses_an_id(tmp_path: Path) -> None:
    store = MessageStore(tmp_path, max_messages=3)
    for number in range(20):
        store.add(received_at="now", path="/", kind="webhook", content_type="", body=str(number))
        assert len((tmp_path / "messages.jsonl").read_text().splitlines()) <= 6
    again = MessageStore(tmp_path, max_messages=3)
    assert [message.body for message in again.after(0)] == ["17", "18", "19"]
    assert again.add(received_at="now", path="/", kind="webhook", content_type="", body="x").id == 21
    lines = [json.loads(line) for line in (tmp_path / "messages.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [18, 19, 20, 21]
