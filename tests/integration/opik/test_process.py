"""The collector as a program: refusals, pages, rotation, restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.opik.database import new_id, now
from tests.integration.opik.conftest import Collector

PRIVATE = "/api/v1/private"


def trace(**fields: Any) -> dict[str, Any]:
    return {"id": new_id(), "name": "t", "start_time": now(), "end_time": now(), "project_name": "p", **fields}


def post(collector: Collector, path: str, body: Any) -> httpx.Response:
    return httpx.post(f"{collector.url}{PRIVATE}{path}", json=body, trust_env=False)


@pytest.mark.parametrize(
    ("path", "content", "sentence"),
    [
        ("/traces/batch", b"{", "The body is not valid JSON."),
        ("/traces/batch", b"[]", "The body must be a JSON object."),
        ("/traces/batch", b"{}", "The body lacks the field 'traces'."),
        ("/traces/search", b'{"filters": "nonsense"}', ""),
    ],
)
def test_a_bad_body_is_a_sentence(collector: Collector, path: str, content: bytes, sentence: str) -> None:
    answer = httpx.post(f"{collector.url}{PRIVATE}{path}", content=content, trust_env=False)
    assert answer.status_code == 400
    assert sentence in answer.json()["message"]
    assert "Traceback" not in answer.text


def test_start_and_end_merge_in_either_order(collector: Collector) -> None:
    whole = trace(output={"answer": "a"}, input={"query": "q"})
    start = {key: whole[key] for key in ("id", "name", "start_time", "project_name", "input")}
    end = {key: whole[key] for key in ("id", "end_time", "project_name", "output")}
    post(collector, "/traces/batch", {"traces": [end]})
    post(collector, "/traces/batch", {"traces": [start]})
    found = httpx.get(f"{collector.url}{PRIVATE}/traces/{whole['id']}", trust_env=False).json()
    assert (found["input"], found["output"]) == ({"query": "q"}, {"answer": "a"})
    assert found["duration"] is not None


def test_pages_escape_what_callers_wrote(collector: Collector) -> None:
    evil = trace(name="<script>alert(1)</script>", input={"query": "<img src=x onerror=alert(1)>"})
    post(collector, "/traces/batch", {"traces": [evil]})
    for path in ("/", f"/traces/{evil['id']}"):
        page = httpx.get(f"{collector.url}{path}", trust_env=False)
        assert page.status_code == 200
        assert "&lt;script&gt;" in page.text
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/traces/nothing", "/datasets/nothing", "/experiments/nothing"])
def test_an_unknown_page_is_404(collector: Collector, path: str) -> None:
    assert httpx.get(f"{collector.url}{path}", trust_env=False).status_code == 404


def test_the_oldest_traces_make_room(tmp_path: Path) -> None:
    small = Collector(tmp_path, ("--max-traces", "20"))
    small.start()
    try:
        traces = [trace() for _ in range(30)]
        for one in traces:
            post(small, "/traces/batch", {"traces": [one]})
        left = httpx.post(
            f"{small.url}{PRIVATE}/traces/search", json={"project_name": "p", "limit": 100}, trust_env=False
        ).text.splitlines()
        assert 18 <= len(left) <= 20
        assert traces[-1]["id"] in left[0]
    finally:
        small.stop()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    collector.start()
    kept = trace()
    assert post(collector, "/traces/batch", {"traces": [kept]}).status_code == 204
    collector.stop(kill=True)
    collector.start()
    try:
        assert httpx.get(f"{collector.url}{PRIVATE}/traces/{kept['id']}", trust_env=False).status_code == 200
    finally:
        collector.stop()
