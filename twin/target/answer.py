"""One question to the service, with its answer collected from the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twin.target.api_client import ApiClient
from twin.target.errors import TwinError
from twin.target.stage import Stage


@dataclass
class Answer:
    """What came back: text, sources, and the `done` event's trace id, model, usage and timings."""

    text: str = ""
    sources: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)

    @property
    def trace_id(self) -> str:
        return str(self.done["trace_id"])


def ask(
    stage: Stage,
    query: str,
    *,
    author: str | None = None,
    enable_rag: bool = True,
    sample: bool = True,
    on_token: Callable[[str], None] = lambda _: None,
    on_status: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Ask through the public API and collect the stream; tokens and states are handed on as they come.

    With `sample` off the answer is always traced and never sampled for evaluation: a test's question is no user's.

    Raises:
        TwinError: when the service refuses, breaks off, or ends without saying that it is done.
    """
    answer = Answer()
    with ApiClient(stage) as api:
        for event in api.ask(query, author=author, enable_rag=enable_rag, sample=sample):
            if event.name == "token":
                answer.text += event.data["text"]
                on_token(event.data["text"])
            elif event.name == "status":
                on_status(str(event.data.get("state", "")))
            elif event.name == "sources":
                answer.sources = event.data["sources"]
            elif event.name == "done":
                answer.done = event.data
    if not answer.done:
        raise TwinError("The stream ended before the service said that it was done: the answer may be cut.")
    return answer
