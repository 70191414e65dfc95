"""The demo's story over one deployment: deploy, ask, watch, judge, alarm, update. Order matters."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.asgi_server import serving
from tests.e2e.conftest import ROOT, Twin
from tests.openai_server import openai_server

QUESTION = "Why does a scale to zero endpoint need a long health check timeout?"
SPANS = {
    "retriever.retrieve_top_k",
    "query_expansion",
    "self_query",
    "embed",
    "search",
    "retriever.rerank",
    "format_prompt",
    "call_llm_service",
}


@pytest.fixture(scope="session")
def first_answer(twin: Twin, started: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = twin.json("ask", QUESTION)
    return answer


def test_local_start_deploys_every_stack_and_ingests_the_corpus(started: dict[str, Any]) -> None:
    assert started["outputs"]["EndpointName"]
    assert started["ingest"]["added"] >= 40


def test_a_second_start_changes_nothing(twin: Twin, started: dict[str, Any]) -> None:
    before = {p["name"]: p["pid"] for p in twin.state()["processes"]}
    again = twin.json("local-start")
    assert again["outputs"] == started["outputs"]
    assert again["ingest"]["added"] == 0
    assert {p["name"]: p["pid"] for p in twin.state()["processes"]} == before


def test_an_answer_quotes_sources_and_counts_tokens(first_answer: dict[str, Any]) -> None:
    assert first_answer["sources"]
    assert first_answer["usage"]["completion_tokens"] > 5
    assert 0 < first_answer["timings"]["ttft_ms"] < first_answer["timings"]["total_ms"]


def test_callers_from_outside_come_through_the_edge_and_only_over_https(
    twin: Twin, started: dict[str, Any], first_answer: dict[str, Any]
) -> None:
    edge = {"Host": urlsplit(started["outputs"]["ApiUrl"]).netloc}
    url = f"http://127.0.0.1:{twin.state()['ports']['aws']}"
    assert edge["Host"].endswith(".cloudfront.net")
    with httpx.Client(base_url=url, headers=edge, timeout=60, trust_env=False) as caller:
        assert caller.get("/healthz").status_code == 403
        # As the emulator's CloudFront knows a caller who speaks TLS.
        caller.headers["X-Forwarded-Proto"] = "https"
        assert caller.get("/healthz").status_code == 200
        assert caller.post("/rag", json={"query": QUESTION}).status_code == 401
        key = {"Authorization": f"Bearer {twin.api_key()}"}
        answer = caller.post("/rag", json={"query": QUESTION}, headers=key)
        assert (answer.status_code, answer.json()["sources"]) == (200, first_answer["sources"])
        streamed = caller.post("/rag", json={"query": QUESTION, "stream": True}, headers=key)
        assert streamed.text.count("event: token") > 1


def test_the_trace_has_every_span(twin: Twin, first_answer: dict[str, Any]) -> None:
    shown = twin.run("trace", first_answer["trace_id"])
    assert shown.returncode == 0, shown.stderr
    assert {name for name in SPANS if name not in shown.stdout} == set()


def test_the_evaluation_scores_what_was_sampled(twin: Twin, first_answer: dict[str, Any]) -> None:
    report = _evaluate_once_collected(twin)
    assert report["scored"] >= 1
    assert report["failed"] == 0
    assert report["means"]["groundedness"] > 0.6


def test_an_answer_can_be_flagged_by_hand_and_dead_letters_be_moved(twin: Twin, first_answer: dict[str, Any]) -> None:
    trace_id = first_answer["trace_id"]
    assert twin.json("samples", "add", trace_id) == {"added": [trace_id]}
    assert twin.json("samples", "redrive") == {"moved": 0}


def test_a_bad_release_raises_the_alarm_and_rolls_back(twin: Twin, first_answer: dict[str, Any]) -> None:
    drilled = twin.json("drill", "release", QUESTION, timeout=290)
    assert drilled["bad"]["answer"] != first_answer["answer"]
    assert (drilled["bad"]["model"], drilled["restored"]["model"]) == ("confabulating", "extractive")
    assert drilled["report"]["means"]["groundedness"] < 0.5
    message = str(drilled["message"])
    assert "roundedness" in message
    assert "/traces/" in message
    assert "twin-local-llm at" in message
    assert "docs/runbook.md#answer-quality" in message
    assert drilled["restored"]["answer"] == first_answer["answer"]


def test_a_changed_variable_reaches_the_running_process(twin: Twin, first_answer: dict[str, Any]) -> None:
    before = _business_pids(twin)
    done = twin.run("deploy", env={"TWIN_RAG__RETRIEVAL_TOP_K": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    deadline = time.monotonic() + 60
    while _business_pids(twin) & before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not _business_pids(twin) & before
    assert len(twin.json("ask", QUESTION)["sources"]) == 1


def test_a_server_that_a_person_runs_answers_until_another_is_chosen(twin: Twin, started: dict[str, Any]) -> None:
    server = openai_server(("small:1b",), key="sk-test", counts=False)
    with serving(server) as url:
        keyed = {"LLM_OPENAI_API_KEY": "sk-test"}
        chosen = twin.json("local-start", "--llm", f"{url}/v1", env=keyed)
        assert chosen["llm"] == f"small:1b at {url}/v1"
        answer = twin.json("ask", QUESTION)
        assert (answer["answer"], answer["model"]) == ("Written by the small model.", "small:1b")
        assert answer["usage"]["estimated"] and answer["usage"]["completion_tokens"] > 0
        assert QUESTION in server.state.seen[-1]["messages"][-1]["content"]
        trace = twin.json("trace", answer["trace_id"])
        assert trace["metadata"]["model_id"] == "small:1b"
        # Nor does a deployment bring the quoting engine back without being told.
        assert twin.run("deploy").returncode == 0
        assert twin.json("ask", QUESTION)["model"] == "small:1b"
    kept = json.dumps(_templates(twin))
    assert "small:1b" in kept and "sk-test" not in kept
    assert twin.json("local-start", "--llm", "extractive")["llm"].startswith("extractive: ")
    assert twin.json("ask", QUESTION)["model"] == "extractive"


def test_the_cdk_itself_works_on_the_local_cloud(twin: Twin, started: dict[str, Any]) -> None:
    def cdk(command: str) -> str:
        shell = f". {twin.state_root}/.local/cdk.env && npx cdk {command} 2>&1"
        # A profile of the shell's must not be used, and there need not be any Node.
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(twin.state_root), "AWS_PROFILE": "theirs"}
        done = subprocess.run(
            ["sh", "-c", shell], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    out = ["--output", str(twin.state_root / "cdk.out")]
    assert "Number of stacks with differences: 0" in cdk(f"diff {' '.join(out)}")
    cdk(f"destroy twin-local-guard --force --exclusively {' '.join(out)}")
    assert "stacks with differences: 1" in cdk(f"diff {' '.join(out)}")
    cdk(f"deploy twin-local-guard --require-approval never --exclusively {' '.join(out)}")
    assert twin.json("ask", QUESTION)["model"] == "extractive"


def _templates(twin: Twin) -> list[Any]:
    cloudformation = twin.client("cloudformation")
    names = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
    return [cloudformation.get_template(StackName=name)["TemplateBody"] for name in names]


def _evaluate_once_collected(twin: Twin) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        done = twin.run("evaluate", "--json")
        if done.returncode == 0 or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _business_pids(twin: Twin) -> set[int]:
    return {p["pid"] for p in twin.state()["processes"] if p["kind"] == "ecs" and p["status"] == "healthy"}
