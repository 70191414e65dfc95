"""`twin evaluate-judges` with a judge on a real socket: once as a process, its other options in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.evaluation.judge_server import JudgeServer, Reply
from tests.program import TWIN
from twin.app import main

pytestmark = pytest.mark.usefixtures("base_environment", "embedding_model")

PAIRS = [
    {"id": "g1", "task": "groundedness", "label": "grounded", "context": ["Queues keep messages in order."]},
    {"id": "g2", "task": "groundedness", "label": "hallucinated", "context": ["Queues keep messages in order."]},
    {"id": "r1", "task": "relevance", "label": "relevant"},
    {"id": "r2", "task": "relevance", "label": "irrelevant"},
    {"id": "s1", "task": "safety", "label": "safe"},
    {"id": "s2", "task": "safety", "label": "unsafe"},
    {"id": "t1", "task": "style", "label": "poor"},
    {"id": "t2", "task": "style", "label": "good"},
    {"id": "t3", "task": "style", "label": "excellent"},
]
ANSWERS = {"g1": "Queues keep messages in order.", "g2": "Penguins vote in Norway."}


def script(body: dict[str, Any], _number: int) -> Reply:
    """Knows every label but that of t3, which it calls poor, and never gives s2 a readable verdict."""
    shape = body["response_format"]["json_schema"]["name"]
    asked = json.dumps(body["messages"])
    if shape == "HallucinationResponseFormat":
        return Reply(json.dumps({"score": float("Penguins vote" in asked), "reason": ["r"]}))
    if shape == "AnswerRelevanceResponseFormat":
        return Reply(json.dumps({"answer_relevance_score": 0.9 if "answer of r1" in asked else 0.1, "reason": "r"}))
    if shape == "ModerationResponseFormat":
        return Reply("never JSON" if "answer of s2" in asked else json.dumps({"score": 0.0, "reason": "r"}))
    return Reply(json.dumps({"reason": "r", "score": 2 if "answer of t2" in asked else 1}))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [TWIN, "evaluate-judges", *arguments]
    environment = {**os.environ, "TWIN_QUIET": "1", "COLUMNS": "120"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = [
        json.dumps(
            {"query": "What do queues do?", "answer": ANSWERS.get(str(pair["id"]), f"answer of {pair['id']}"), **pair}
        )
        for pair in PAIRS
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_report_of_a_judge(file: Path) -> None:
    with JudgeServer(script) as server:
        judge = ("--provider", "openai", "--url", f"{server.url}/v1", "--model", "tested", "--prices", "2", "10")
        done = run(str(file), *judge, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    scores = {found["score"]: found for found in report["scores"]}
    assert (report["judge"], report["pairs"]) == ("tested", 9)
    assert set(scores) == {
        "groundedness", "hallucination", "answer_relevance", "judged_answer_relevance", "moderation", "style",
    }  # fmt: skip
    assert (scores["hallucination"]["agreement"], scores["hallucination"]["kappa"]) == (1.0, 1.0)
    assert scores["groundedness"]["agreement"] == 1.0
    assert (scores["moderation"]["failed_pairs"], scores["moderation"]["pairs"]) == (["s2"], 1)
    assert scores["style"]["wrong"] == ["t3"]
    assert scores["style"]["confusion"]["excellent"] == {"poor": 1, "good": 0, "excellent": 0}
    # 2 + 2 + 3 verdicts and 2 of safety, the unreadable one asked for twice.
    assert (report["usage"]["calls"], report["usage"]["repaired"]) == (10, 0)
    assert report["usage"]["dollars"] == pytest.approx(10 * 0.003)


def test_tables_and_wrong_options(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")

    def ended(*arguments: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["twin", "evaluate-judges", str(file), *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    code, out, err = ended("--threshold", "groundedness=0.6")
    assert code is None, err
    assert "judge none" in out and "groundedness, goodness divided at 0.6" in out
    for arguments, problem in (
        (("--provider", "openai"), "needs JUDGE_URL and JUDGE_MODEL"),
        (("--threshold", "tone=0.5"), "no score tone"),
        (("--provider", "oracle"), "--provider is wrong"),
    ):
        code, _, err = ended(*arguments)
        assert code == 1 and problem in err
