"""Opik away in each of three ways while questions are answered, then back: every promised trace is there."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from benchmarks.fault_proxy import FAULTS, Fault, FaultProxy
from services.rag.pipeline.recorder import is_in_sample
from tests.integration.rag.conftest import World, another, eventually, serving
from tests.integration.rag.fakes import KEY, Opik

QUESTION = {"query": "Why is the health check timeout long?"}
SAMPLE_RATE = 0.5
AWAY_SECONDS = 10.0


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_promised_while_opik_was_away_arrives_afterwards(world: World, fault: Fault) -> None:
    opik = Opik()
    away = {"traces_per_second": 0.0, "sample_rate": SAMPLE_RATE}
    try:
        with (
            FaultProxy(httpx.URL(opik.url).port or 0) as gate,
            serving(another(world, opik_url_override=f"{gate.url}/api", **away), world.environment) as url,
            httpx.Client(
                base_url=url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=20
            ) as client,
        ):

            def ask(headers: dict[str, str]) -> str:
                return client.post("/rag", json=QUESTION, headers=headers).headers["X-Trace-Id"]

            gate.switch(fault)
            with ThreadPoolExecutor(4) as pool:
                started = time.monotonic()
                plain = set(pool.map(ask, [{}] * 12))
                wanted = set(pool.map(ask, [{"X-Debug-Trace": "1"}] * 4))
                assert time.monotonic() - started < AWAY_SECONDS, "callers waited for Opik"
                world.cloud.mode = "model_error"
                failed = set(pool.map(ask, [{}] * 2))
            assert not opik.traces
            promised = {each for each in plain if is_in_sample(each, SAMPLE_RATE)} | wanted | failed
            gate.switch(None)
            eventually(lambda: {span["trace_id"] for span in list(opik.spans)} >= promised, 30)
            assert set(opik.traces) == promised, "an answer was traced that no caller insisted on"
    finally:
        opik.stop()
