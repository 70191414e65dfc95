"""Data for the collector's pages, written over its REST API."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

EVIL = "<img src=x onerror=alert(1)> </script><script>alert(2)</script>"
MODELS = ("qwen/small", "qwen/large")
DAYS = 12
PER_DAY = 6


def id_at(moment: datetime, number: int) -> str:
    """A UUID of version 7 of that moment."""
    milliseconds = int(moment.timestamp() * 1000)
    return str(uuid.UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | number))


@dataclass
class Filled:
    """What was written: names to ids."""

    url: str
    traces: list[str] = field(default_factory=list)
    failed: str = ""
    evil: str = ""
    experiments: dict[str, str] = field(default_factory=dict)
    dataset: str = ""
    prompt: str = ""
    _number: int = 0

    def send(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        answer = httpx.request(method, f"{self.url}/api/v1/private{path}", json=body, trust_env=False, timeout=20)
        answer.raise_for_status()
        return answer

    def new_id(self, moment: datetime) -> str:
        self._number += 1
        return id_at(moment, self._number)


def fill(url: str) -> Filled:
    """Answers of some days by two models, one failed and one hostile; two experiments; a prompt of two versions."""
    filled = Filled(url)
    _answers(filled)
    _experiments(filled)
    for template in (
        "You are the twin.\nAnswer {{question}} from the sources.\nBe brief.",
        f"You are the twin.\nAnswer {{{{question}}}} from the sources only.\nBe brief.\nCite them. {EVIL}",
    ):
        filled.send("POST", "/prompts/versions", {"name": "answer", "version": {"template": template}})
    filled.prompt = httpx.get(f"{url}/api/v1/private/prompts", trust_env=False).json()["content"][0]["id"]
    return filled


def _answers(filled: Filled) -> None:
    start = datetime.now(UTC) - timedelta(days=DAYS)
    traces, spans, scores = [], [], []
    for number in range(DAYS * PER_DAY):
        moment = start + timedelta(days=number / PER_DAY)
        question = f"Why is the health check timeout of step {number} so long?"
        trace, steps = _answer(filled, moment, question, MODELS[number % 2], 600 + 37 * number)
        scores += _scores(trace["id"], groundedness=0.4 + (number % 7) * 0.08, hallucination=0.5 - (number % 5) * 0.1)
        traces.append(trace)
        spans += steps
    traces[10]["error_info"] = spans[10 * 4 + 3]["error_info"] = {
        "exception_type": "ModelTimeout",
        "message": "no token in 30 s",
        "traceback": "in call_llm_service",
    }
    traces[-1] |= {"name": EVIL, "input": {"query": EVIL}, "output": {"answer": EVIL}, "tags": [EVIL]}
    spans[-1] |= {"name": EVIL, "model": EVIL}
    scores += [{"id": traces[-1]["id"], "name": EVIL, "value": 0.5, "reason": EVIL, "source": "sdk"}]
    filled.send("POST", "/traces/batch", {"traces": traces})
    filled.send("POST", "/spans/batch", {"spans": spans})
    filled.send("PUT", "/traces/feedback-scores", {"scores": scores})
    filled.traces, filled.failed, filled.evil = [t["id"] for t in traces], traces[10]["id"], traces[-1]["id"]


def _answer(
    filled: Filled, moment: datetime, question: str, model: str, ms: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    def at(share: float) -> str:
        return (moment + timedelta(milliseconds=ms * share)).isoformat()

    trace = {
        "id": filled.new_id(moment),
        "name": "generate",
        "project_name": "twin",
        "start_time": at(0),
        "end_time": at(1),
        "input": {"query": question},
        "output": {"answer": f"The weights load slowly, which takes {ms} ms.\nThe timeout covers it."},
        "tags": ["rag", "dev"],
        "metadata": {"model_id": model, "stage": "dev", "prompt_version": "v2"},
    }
    root = filled.new_id(moment)
    places = (
        (root, None, "generate", "general", 0, 1),
        (filled.new_id(moment), root, "retriever.retrieve_top_k", "general", 0.05, 0.3),
        (filled.new_id(moment), root, "prompt", "general", 0.3, 0.32),
        (filled.new_id(moment), root, "call_llm_service", "llm", 0.32, 0.98),
    )
    spans = [
        {
            "id": id,
            "trace_id": trace["id"],
            "parent_span_id": parent,
            "project_name": "twin",
            "name": name,
            "type": kind,
            "start_time": at(begin),
            "end_time": at(end),
            "input": {"query": question},
            "output": {"found": 3},
            **({"model": model, "usage": {"total_tokens": 42}} if kind == "llm" else {}),
        }
        for id, parent, name, kind, begin, end in places
    ]
    return trace, spans


def _scores(trace: str, **values: float) -> list[dict[str, Any]]:
    return [
        {"id": trace, "name": name, "value": value, "reason": "seen in the sources", "source": "sdk"}
        for name, value in values.items()
    ]


def _experiments(filled: Filled) -> None:
    """Two over the same items: of the second one, item 3 is much worse, the others a little better."""
    dataset = filled.send("POST", "/datasets", {"name": f"questions {EVIL}", "project_name": "twin"})
    filled.dataset = dataset.headers["Location"].rpartition("/")[2]
    now = datetime.now(UTC)
    items = [
        {"id": filled.new_id(now), "source": "sdk", "data": {"query": f"Question {n}?", "expected": f"Answer {n}."}}
        for n in range(60)
    ]
    filled.send("PUT", "/datasets/items", {"dataset_id": filled.dataset, "items": items})
    for number, name in enumerate(("baseline", "candidate")):
        id = filled.new_id(now + timedelta(minutes=number))
        filled.experiments[name] = id
        about = {"dataset_name": f"questions {EVIL}", "project_name": "twin", "metadata": {"model_id": MODELS[number]}}
        filled.send("POST", "/experiments", {"id": id, "name": name, **about})
        traces, scores, links = [], [], []
        for place, item in enumerate(items):
            trace, _ = _answer(filled, now, item["data"]["query"], MODELS[number], 500)
            trace |= {"name": "evaluation_task", "project_name": "runs"}
            groundedness = 0.7 + number * (-0.6 if place == 3 else 0.05)
            scores += _scores(trace["id"], groundedness=groundedness, hallucination=0.2 - 0.1 * number)
            links.append({"experiment_id": id, "dataset_item_id": item["id"], "trace_id": trace["id"]})
            traces.append(trace)
        filled.send("POST", "/traces/batch", {"traces": traces})
        filled.send("PUT", "/traces/feedback-scores", {"scores": scores})
        filled.send("POST", "/experiments/items", {"experiment_items": links})
