"""`twin export`: scored answers as data sets for fine-tuning.

Lines have TRL's conversational format: `prompt`, `chosen`, `rejected` for its DPO trainer and `prompt`, `completion`
for its SFT trainer, each a list of messages. A further column, `metadata`, says where a line comes from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import httpx

from services.evaluation.metrics.names import METRICS
from twin.target.errors import TwinError

PRIVATE = "/v1/private"
PAGE = 500
FEEDBACK = "user_feedback"
PROVENANCE = ("model_id", "prompt_name", "prompt_version", "prompt_commit", "release", "stage")

Message = dict[str, str]


@dataclass(frozen=True)
class Judged:
    """An answer with its score, from 0 (useless) to 1 (right)."""

    trace_id: str
    prompt: tuple[tuple[str, str], ...]
    answer: str
    score: float
    scores: dict[str, float]
    metadata: dict[str, Any]

    def provenance(self) -> dict[str, Any]:
        """Where the answer comes from."""
        kept = {name: self.metadata[name] for name in PROVENANCE if name in self.metadata}
        return {"trace_id": self.trace_id, "score": self.score, "scores": self.scores, **kept}


def read(opik: httpx.Client, project: str, *, with_context: bool = True) -> list[Judged]:
    """Every scored answer of a project, oldest first.

    Args:
        opik: a client at the address of Opik's API, which ends in `/api`.
        project: whose traces are read.
        with_context: take the whole prompt with its documents; False takes the question alone.

    Raises:
        TwinError: Opik does not answer.
    """
    try:
        return [
            judged
            for trace in _pages(opik, "traces", {"project_name": project})
            if (judged := _judged(opik, project, trace, with_context)) is not None
        ][::-1]
    except httpx.HTTPError as error:
        raise TwinError(f"Opik at {opik.base_url} cannot be read: {error}.") from None


def preferences(answers: Iterable[Judged], margin: float = 0.3) -> Iterator[dict[str, Any]]:
    """Per prompt the best answer against each one that is worse by at least `margin`; equal pairs once."""
    for group in _groups(answers, lambda answer: answer.prompt):
        best = max(group, key=lambda answer: answer.score)
        seen = {best.answer}
        for worse in sorted(group, key=lambda answer: answer.score):
            if best.score - worse.score < margin or worse.answer in seen:
                continue
            seen.add(worse.answer)
            yield {
                "prompt": _messages(best.prompt),
                "chosen": _answer(best),
                "rejected": _answer(worse),
                "metadata": {"chosen": best.provenance(), "rejected": worse.provenance()},
            }


def instructions(answers: Iterable[Judged], at_least: float = 0.7) -> Iterator[dict[str, Any]]:
    """Per prompt the best answer, where it is good enough."""
    for group in _groups(answers, lambda answer: answer.prompt):
        best = max(group, key=lambda answer: answer.score)
        if best.score >= at_least:
            yield {"prompt": _messages(best.prompt), "completion": _answer(best), "metadata": best.provenance()}


def write(lines: Iterable[dict[str, Any]], file: TextIO) -> int:
    """Write JSON Lines; returns how many."""
    written = 0
    for line in lines:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        written += 1
    return written


def _judged(opik: httpx.Client, project: str, trace: dict[str, Any], with_context: bool) -> Judged | None:
    said = trace.get("input") or {}
    answer = str((trace.get("output") or {}).get("answer") or "").strip()
    scores = {s["name"]: float(s["value"]) for s in trace.get("feedback_scores") or () if 0 <= s["value"] <= 1}
    score = _score(scores)
    if score is None or not answer or not said.get("query") or trace.get("error_info"):
        return None
    prompt: Iterable[Message] = [{"role": "user", "content": str(said["query"])}]
    if with_context:
        asked = {"trace_id": trace["id"], "project_name": project}
        spans = [span for span in _pages(opik, "spans", asked) if span["name"] == "call_llm_service"]
        messages = (spans[-1].get("input") or {}).get("messages") if spans else None
        if not isinstance(messages, list):
            return None  # recorded without its content
        prompt = messages
    frozen = tuple((str(message["role"]), str(message["content"])) for message in prompt)
    return Judged(trace["id"], frozen, answer, score, scores, trace.get("metadata") or {})


def _score(scores: dict[str, float]) -> float | None:
    """A user's feedback if there is any, else the mean over the metrics of quality; None without any."""
    if FEEDBACK in scores:
        return scores[FEEDBACK]
    goodness = [
        1 - METRICS[name].badness(value) for name, value in scores.items() if name in METRICS and METRICS[name].ranks
    ]
    return sum(goodness) / len(goodness) if goodness else None


def _groups(answers: Iterable[Judged], key: Callable[[Judged], object]) -> Iterable[list[Judged]]:
    groups: dict[str, list[Judged]] = {}
    for answer in answers:
        groups.setdefault(hashlib.sha256(repr(key(answer)).encode()).hexdigest(), []).append(answer)
    return groups.values()


def _messages(prompt: tuple[tuple[str, str], ...]) -> list[Message]:
    return [{"role": role, "content": content} for role, content in prompt]


def _answer(judged: Judged) -> list[Message]:
    return [{"role": "assistant", "content": judged.answer}]


def _pages(opik: httpx.Client, kind: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What Opik finds, newest first."""
    last: str | None = None
    while True:
        more = {"last_retrieved_id": last} if last else {}
        found = opik.post(f"{PRIVATE}/{kind}/search", json={**body, **more, "limit": PAGE, "truncate": False})
        found.raise_for_status()
        lines = [json.loads(line) for line in found.text.splitlines() if line.strip()]
        yield from lines
        if len(lines) < PAGE:
            return
        last = lines[-1]["id"]
