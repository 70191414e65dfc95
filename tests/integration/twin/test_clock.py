"""The clock of a target is as quick as the target says; AWS, and what does not say, is as slow as AWS."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.emulator.conftest import Emulator, running
from tests.integration.twin.recorded import Recorded
from twin.target.clock import LEAST_PAUSE_SECONDS, PATH, Clock, clock_of
from twin.target.stage import Stage


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    settings = {"LOCALCLOUD_TIME_FACTOR": "120", "LOCALCLOUD_STABILISE_SECONDS": "7"}
    with running(tmp_path_factory.mktemp("emulator"), **settings) as started:
        yield started


def test_the_emulator_says_its_factor_without_a_signature(quick: Emulator) -> None:
    assert httpx.get(f"{quick.url}{PATH}").json() == {"factor": 120.0, "work_seconds": 7.0}
    assert httpx.post(f"{quick.url}{PATH}").status_code in (400, 403)
    assert clock_of(f"{quick.url}/") == Clock(120.0, 7.0)


def test_a_stage_waits_by_the_clock_of_where_its_calls_go(quick: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_TIME_FACTOR", "3")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert Stage("prod", "us-east-1").clock == Clock()
    assert Stage("local", "us-east-1", {"AWS_ENDPOINT_URL": quick.url}).clock.speed == 120
    monkeypatch.setenv("AWS_ENDPOINT_URL", quick.url)
    assert Stage("pr-12", "us-east-1").clock.speed == 120


def test_an_endpoint_that_says_nothing_of_its_time_counts_as_aws(recorded: Recorded) -> None:
    assert clock_of(recorded.url) == Clock()
    assert clock_of("http://127.0.0.1:9") == Clock()
    assert clock_of("no address") == Clock()


def test_a_quick_clock_pauses_and_ends_sooner_but_leaves_time_for_real_work() -> None:
    clock = Clock(1000.0, work_seconds=0.2)
    began, real = clock.now(), time.monotonic()
    clock.sleep(300)
    passed = time.monotonic() - real
    assert 0.3 <= passed < 2
    assert clock.now() - began == pytest.approx(1000 * passed, rel=0.1)

    real = time.monotonic()
    clock.sleep(1)
    assert LEAST_PAUSE_SECONDS <= time.monotonic() - real < 1

    deadline = clock.deadline(100)
    clock.sleep(200)
    assert not deadline.passed
    clock.sleep(200)
    assert deadline.passed


def test_no_deadline_gets_more_time_on_top_than_its_own() -> None:
    deadline = Clock(1000.0, work_seconds=60).deadline(0.0)
    time.sleep(0.01)
    assert deadline.passed
