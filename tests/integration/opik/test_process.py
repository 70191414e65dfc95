"""The collector as a program: refusals, pages, rotation, restarts."""

from __future__ import annotations

import json
import sqlite3
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
        assert "style=" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def listed(collector: Collector, **query: Any) -> str:
    page = httpx.get(f"{collector.url}/", params=query, trust_env=False)
    assert page.status_code == 200
    return page.text


def test_the_list_filters_orders_and_pages_in_the_store(collector: Collector) -> None:
    name = f"listed-{new_id()}"
    traces = [trace(name=name, input={"query": f"Frage {n} \u00dcber"}, tags=["odd"] * (n % 2)) for n in range(60)]
    traces[7]["error_info"] = {"exception_type": "Late", "message": "m", "traceback": ""}
    del traces[8]["end_time"]
    post(collector, "/traces/batch", {"traces": traces})
    scores = [{"id": one["id"], "name": "depth", "value": n / 60, "source": "sdk"} for n, one in enumerate(traces)]
    httpx.put(f"{collector.url}{PRIVATE}/traces/feedback-scores", json={"scores": scores}, trust_env=False)
    assert "Traces 1 to 50 of 60" in listed(collector, name=name)
    for last in (2, 99, "9" * 9):
        assert "Traces 51 to 60 of 60" in listed(collector, name=name, page=last)
    for query, total in (
        ({"state": "failed"}, 1),
        ({"state": "running"}, 1),
        ({"tag": "odd"}, 30),
        ({"text": "FRAGE 17 \u00fcber"}, 1),
        ({"score": "depth", "at_least": 0.5, "at_most": 0.6}, 7),
        ({"score": "depth", "at_most": "nonsense", "page": "-1"}, 60),
    ):
        assert f"of {total}</span>" in listed(collector, name=name, **query), query
    lowest = listed(collector, name=name, score="depth", order="lowest")
    assert lowest.index(traces[0]["id"]) < lowest.index(traces[1]["id"]) < lowest.index(traces[49]["id"])
    post(collector, "/traces/delete", {"ids": [one["id"] for one in traces]})
    assert "No traces match" in listed(collector, name=name)


def test_a_file_of_before_is_listed(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    kept = trace(name="of before")
    with sqlite3.connect(tmp_path / "opik.sqlite") as connection:
        connection.execute("CREATE TABLE traces(id TEXT PRIMARY KEY, parent TEXT, key TEXT, body TEXT NOT NULL)")
        connection.execute("CREATE TABLE scores(id TEXT PRIMARY KEY, parent TEXT, key TEXT, body TEXT NOT NULL)")
        connection.execute("INSERT INTO traces VALUES(?, 'p', NULL, ?)", (kept["id"], json.dumps(kept)))
        score = json.dumps({"name": "depth", "value": 0.25})
        connection.execute("INSERT INTO scores VALUES('s', ?, NULL, ?)", (f"trace:{kept['id']}", score))
    collector.start()
    try:
        assert "0.250" in listed(collector, name="of before", score="depth")
    finally:
        collector.stop()


@pytest.mark.parametrize("path", ["/traces/nothing", "/datasets/nothing", "/experiments/nothing", "/prompts/nothing"])
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
