"""Three processes that are stopped in turn under load lose no trace."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.integration.rag.fake_qdrant import Qdrant
from tests.integration.rag.fakes import Cloud, Opik
from tests.integration.rag.test_process import _environment, _serving, servers

__all__ = ["servers"]


def test_a_rolling_restart_loses_no_trace(servers: tuple[Cloud, Qdrant, Opik], embedding_model: Path) -> None:
    opik = servers[2]
    ids: set[str] = set()

    def ask(client: httpx.Client) -> None:
        body = {"query": "Why?", "enable_rag": False}
        while True:
            try:
                answer = client.post("/rag", json=body, headers={"X-Debug-Trace": "1"})
            except httpx.TransportError:
                return  # its process has been stopped
            if answer.status_code == 200:
                ids.add(answer.json()["trace_id"])

    limit = {"REQUESTS_PER_MINUTE": "100000"}
    with ExitStack() as stack:
        running = [stack.enter_context(_serving(_environment(servers, embedding_model, **limit))) for _ in range(3)]
        callers = [threading.Thread(target=ask, args=(client,)) for _, client in running]
        for caller in callers:
            caller.start()
        # Opik fails while the first one stops: it restarts as well.
        opik.down = True
        up = threading.Timer(2.0, setattr, (opik, "down", False))
        up.start()
        for process, _ in running:
            threading.Event().wait(1.0)
            process.terminate()
            process.communicate(timeout=40)
        for caller in callers:
            caller.join(30)
        up.join()
    assert len(ids) > 10
    assert ids <= set(opik.traces)
    assert {span["trace_id"] for span in opik.spans} >= ids
