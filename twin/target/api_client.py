"""A typed client of the RAG service's public API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from twin.target.deployment import api_key, outputs
from twin.target.errors import TwinError
from twin.target.stage import Stage, address

POLL_SECONDS = 0.3
TIMEOUT = httpx.Timeout(connect=5, read=150, write=10, pool=5)

TITLE = re.compile(r"<title>([^<]{1,200})</title>", re.IGNORECASE)
"""Of an HTML page; the service itself answers with JSON."""


@dataclass(frozen=True)
class Event:
    """One Server-Sent Event of `POST /rag`: `status`, `token`, `sources`, `done` or `error`."""

    name: str
    data: dict[str, Any]


class RefusedError(TwinError):
    """The service refused a question.

    Attributes:
        status: HTTP status.
        retry_after: seconds after which it may; 0 when it does not say.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(_refusal(response))
        self.status = response.status_code
        value = response.headers.get("Retry-After", "")
        self.retry_after = float(value) if value.isdigit() else 0.0


class ApiClient:
    """Calls the service as its callers do: through CloudFront where the stage has it, else through its load balancer.

    Locally both are the emulator's, which routes by the Host header.
    """

    def __init__(self, stage: Stage, found: dict[str, str] | None = None) -> None:
        found = found or outputs(stage)
        headers = {"Authorization": f"Bearer {api_key(stage)}"}
        base_url = found["ApiUrl"]
        if stage.local is not None:
            headers |= _local_edge(found)
            base_url = address(stage.local, "aws")
        self._stage = stage
        self._clock = stage.clock
        # trust_env off: a proxy of the caller's shell must not be used for this machine's loopback.
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT, trust_env=not stage.is_local)

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def readiness(self, *, wake: bool) -> dict[str, Any]:
        """Answer of `/readyz`; `{"error": ...}` when there is none.

        Args:
            wake: whether the model is asked as well, which wakes it.
        """
        try:
            response = self._http.get("/readyz", params={} if wake else {"wake": "false"}, timeout=10)
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            return {"error": str(error) or type(error).__name__}
        return answer if isinstance(answer, dict) else {"error": f"status {response.status_code}"}

    def wait_until_awake(self, seconds: float) -> dict[str, Any]:
        """Block until every dependency is ready, the model included, which is woken.

        Raises:
            TwinError: with the last state of each dependency, after `seconds`.
        """
        deadline = self._clock.deadline(seconds)
        while True:
            state = self.readiness(wake=True)
            if state.get("status") == "ready":
                return state
            if deadline.passed:
                raise TwinError(f"The RAG service is not ready after {seconds:.0f} s: {json.dumps(state)}")
            self._clock.sleep(POLL_SECONDS)

    def ask(
        self, query: str, *, author: str | None = None, enable_rag: bool = True, sample: bool = True
    ) -> Iterator[Event]:
        """Ask and stream; with `sample` off the answer is always traced and never sampled for evaluation.

        Raises:
            RefusedError: with the service's own sentence.
            TwinError: the same when it breaks off.
        """
        body = {"query": query, "author": author, "enable_rag": enable_rag, "stream": True}
        try:
            content = {k: v for k, v in body.items() if v is not None}
            headers = {} if sample else {"X-Debug-Trace": "1", "X-No-Sample": "1"}
            with self._http.stream("POST", "/rag", json=content, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    raise RefusedError(response)
                yield from _events(response.iter_lines())
        except httpx.HTTPError as error:
            raise TwinError(f"The RAG service broke the connection: {error or type(error).__name__}.") from None


def _local_edge(found: Mapping[str, str]) -> dict[str, str]:
    """Headers with which the emulator takes a request for the stage's distribution, or for its load balancer."""
    host = urlsplit(found["ApiUrl"]).netloc
    if host.endswith(".cloudfront.net"):
        # The emulator speaks no TLS, which the distribution asks of its callers.
        return {"Host": host, "X-Forwarded-Proto": "https"}
    return {"Host": f"{found['LoadBalancerName']}.alb.localhost"}


def _events(lines: Iterator[str]) -> Iterator[Event]:
    name, data = "message", []
    for line in lines:
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and data:
            event = Event(name, json.loads("\n".join(data)))
            if event.name == "error":
                raise TwinError(f"The RAG service broke off: {_message(event.data)}")
            yield event
            name, data = "message", []


def _refusal(response: httpx.Response) -> str:
    try:
        reason = _message(response.json())
    except ValueError:
        return _refusal_of_edge(response)
    return f"The RAG service answered {response.status_code}: {reason}"


def _refusal_of_edge(response: httpx.Response) -> str:
    """What a load balancer or CloudFront says in place of the service: its title, without the page around it."""
    title = TITLE.search(response.text)
    said = title[1].strip() if title else response.text[:300] or response.reason_phrase
    return f"The way to the RAG service answered {response.status_code}: {said}"


def _message(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)
