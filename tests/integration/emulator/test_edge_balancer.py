"""A load balancer's connections to its targets, and its own answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest

from infra.constructs.rag.environment import KEEP_ALIVE_MARGIN_SECONDS
from localcloud.ports import free_port
from tests.integration.emulator.conftest import Emulator, eventually, running
from tests.integration.emulator.edge_way import Balancer, target

IDLE = "idle_timeout__timeout_seconds"
UVICORN_SECONDS = 5
"""uvicorn's default of `timeout_keep_alive`, which the service does not use."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One of the module's own: load balancers that stay would be another module's."""
    with running(tmp_path_factory.mktemp("balancers")) as started:
        yield started


@pytest.fixture(scope="module")
def quick(emulator: Emulator) -> Balancer:
    """A load balancer that gives a target one second."""
    return Balancer(emulator, "quick", **{IDLE: "1"})


@pytest.fixture(scope="module")
def patient(emulator: Emulator) -> Balancer:
    """A load balancer with the idle timeout of the stages."""
    return Balancer(emulator, "patient", **{IDLE: "120"})


@pytest.fixture
def caller(patient: Balancer) -> Iterator[httpx.Client]:
    with patient.client() as client:
        yield client


def test_a_target_that_closes_idle_connections_costs_a_request(emulator: Emulator) -> None:
    """With uvicorn's default, 502; with the service's setting, which outlasts the load balancer's, none."""
    hasty, lasting = (Balancer(emulator, name, **{IDLE: "120"}) for name in ("hasty", "lasting"))
    with (
        target() as default,
        target(timeout_keep_alive=120 + KEEP_ALIVE_MARGIN_SECONDS) as own,
        hasty.client() as to_default,
        lasting.client() as to_own,
    ):
        hasty.send_to(default.port)
        lasting.send_to(own.port)
        assert [client.post("/rag").status_code for client in (to_default, to_own)] == [200, 200]
        time.sleep(UVICORN_SECONDS + 0.3)
        lost = to_default.post("/rag")
        assert (lost.status_code, lost.headers["server"]) == (502, "awselb/2.0")
        assert "<h1>502 Bad Gateway</h1>" in lost.text
        assert to_own.post("/rag").status_code == 200
        # The request was lost, not the target: the next one gets a new connection.
        assert to_default.post("/rag").status_code == 200
        assert len(default.calls) == 2
        assert own.peers[0] == own.peers[1]


def test_a_connection_is_kept_for_the_idle_timeout(quick: Balancer) -> None:
    with target() as served, quick.client() as client:
        quick.send_to(served.port)
        for pause in (0.0, 0.2, 1.3):
            time.sleep(pause)
            assert client.get("/").status_code == 200
        first, second, third = served.peers
        assert first == second != third


def test_a_silent_target_is_a_gateway_timeout(quick: Balancer) -> None:
    with target() as served, quick.client() as client:
        quick.send_to(served.port)
        served.seconds = 3.0
        began = time.monotonic()
        answer = client.post("/rag")
        assert (answer.status_code, answer.headers["server"]) == (504, "awselb/2.0")
        assert "504 Gateway Time-out" in answer.text
        assert 1.0 <= time.monotonic() - began < 2.5


def test_without_targets_the_load_balancer_answers(emulator: Emulator) -> None:
    alone = Balancer(emulator, "alone")
    with alone.client() as client:
        assert (answer := client.get("/")).status_code == 503
        assert (answer.headers["content-type"], answer.headers["server"]) == ("text/html", "awselb/2.0")
        assert "503 Service Temporarily Unavailable" in answer.text
        alone.send_to(free_port())
        assert client.get("/").status_code == 502


def test_a_targets_own_error_passes_as_it_is(patient: Balancer, caller: httpx.Client) -> None:
    with target() as served:
        patient.send_to(served.port)
        served.status = 503
        answer = caller.post("/rag", content="question")
        assert (answer.status_code, answer.json()) == (503, {"said": "question"})


def test_a_caller_who_leaves_is_gone_for_the_target(patient: Balancer) -> None:
    with target() as served:
        patient.send_to(served.port)
        with patient.client() as client, pytest.raises(httpx.ReadTimeout):
            client.get("/wait", timeout=0.5)
        assert served.left.wait(5)
        served.left.clear()
        with patient.client() as client, client.stream("GET", "/stream") as stream:
            assert next(stream.iter_text()) == "data: first\n\n"
        assert served.left.wait(5)
        with patient.client() as client:
            assert client.get("/").status_code == 200


def test_a_target_that_breaks_off_breaks_the_callers_answer(patient: Balancer, caller: httpx.Client) -> None:
    with target() as served:
        patient.send_to(served.port)
        with caller.stream("GET", "/broken") as stream, pytest.raises(httpx.RemoteProtocolError):
            stream.read()
        assert caller.get("/").status_code == 200


def test_headers_name_the_caller_and_the_request(emulator: Emulator) -> None:
    strict = Balancer(emulator, "strict", routing__http__drop_invalid_header_fields__enabled="true")
    with target() as served, strict.client(**{"X_Odd": "1", "X-Forwarded-For": "192.0.2.7"}) as client:
        strict.send_to(served.port)
        client.get("/")
        (seen,) = served.calls
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", seen["x-amzn-trace-id"])
        assert seen["x-forwarded-for"].startswith("192.0.2.7, ")
        assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("http", "80")
        assert "x_odd" not in seen


def test_many_requests_at_once_have_connections_of_their_own(patient: Balancer) -> None:
    with target() as served, patient.client() as client:
        patient.send_to(served.port)
        streams = [client.send(client.build_request("GET", "/stream"), stream=True) for _ in range(20)]
        eventually(lambda: len(set(served.peers)) == len(streams), "streams share a connection")
        served.proceed()
        for stream in streams:
            assert stream.read().endswith(b"data: second\n\n")
