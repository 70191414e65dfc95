"""The attacks find what they look for: servers that have each fault on purpose are told from the service."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest
from starlette.responses import PlainTextResponse

from tests.asgi_server import serving
from tests.attack_figures import Tally, line
from tests.attacks import broken
from tests.attacks.service import KEY, Target
from tests.attacks.test_bodies import attack_bodies
from tests.attacks.test_connections import attack_by_waiting
from tests.attacks.test_framing import attack_framing
from tests.attacks.test_keys import attack_keys
from tests.attacks.test_perimeter import attack_perimeter
from tests.attacks.test_rates import attack_rate
from tests.attacks.test_routes import attack_routes
from tests.attacks.test_tenants import attack_tenants
from tests.attacks.wire import Expected, Request, ask_all

EVERYWHERE = "/{rest:path}"


@pytest.fixture
def found() -> Tally:
    """Counts that are no part of the run's figures."""
    return Tally("harness")


def at(target: Target, url: str) -> Target:
    """What is known about the service, with another server in its place."""
    return replace(target, url=url, process=psutil.Process())


def expect(found: Tally, fault: str) -> None:
    """The fault was counted, and would fail the test."""
    assert any(wrong.startswith(fault) for wrong in found.wrong), found.wrong[:3]
    with pytest.raises(AssertionError):
        found.verify()


@pytest.mark.parametrize("path", ["/metrics", "/METRICS", "/v1/models/{name}", "/static/{rest:path}"])
def test_a_path_that_is_open_is_found(found: Tally, path: str) -> None:
    with serving(broken.app(path, broken.lets_in)) as url:
        attack_routes(url, found, 800)
    expect(found, "let in with 200")


@pytest.mark.parametrize(
    ("handler", "fault"), [(broken.any_case, "let in with 200"), (broken.repeats_the_key, f"holds b'{KEY}'")]
)
def test_a_key_that_is_compared_loosely_or_shown_is_found(found: Tally, handler: broken.Handler, fault: str) -> None:
    with serving(broken.app(EVERYWHERE, handler)) as url:
        attack_keys(url, KEY, found, 100)
    expect(found, fault)


def test_an_answered_hidden_request_is_found(found: Tally) -> None:
    with broken.answering_hidden_requests() as url:
        attack_framing(url, KEY, found, 20)
    expect(found, "told what it must not")


@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        (broken.slow, "took 0."),
        (broken.fails, "status 500"),
        (broken.shows_its_stack, "a stack trace"),
        (broken.stands_still, "/rag: health took"),
    ],
)
def test_a_body_that_stops_or_breaks_a_server_is_found(
    target: Target, found: Tally, handler: broken.Handler, fault: str
) -> None:
    with serving(broken.app(EVERYWHERE, handler)) as url:
        attack_bodies(at(target, url), found, 12, stands_still=broken.SLEEP_SECONDS / 2, limit=broken.SLEEP_SECONDS / 2)
    expect(found, fault)


def test_one_request_above_the_limit_is_found(found: Tally) -> None:
    with serving(broken.app(EVERYWHERE, broken.one_more(3))) as url:
        attack_rate(url, KEY, 3, found, 12)
    expect(found, "4 of 12 passed")


def test_a_document_of_another_tenant_is_found(target: Target, found: Tally) -> None:
    with serving(broken.app(EVERYWHERE, broken.other_tenant)) as url:
        attack_tenants(at(target, url), found, 5)
    expect(found, "a document of another tenant")


def test_a_server_without_a_perimeter_is_found(found: Tally) -> None:
    attack_perimeter(PlainTextResponse("served"), found, 30)
    expect(found, "let in with 200")


def test_connections_that_are_never_closed_are_found(target: Target, found: Tally) -> None:
    with broken.keeping_connections() as url, pytest.raises(AssertionError, match="did not happen"):
        attack_by_waiting(at(target, url), found, 30, settle=0.5)


def test_a_server_that_serves_no_one_beside_held_connections_is_found(target: Target, found: Tally) -> None:
    with serving(PlainTextResponse("busy", 503)) as url:
        attack_by_waiting(at(target, url), found, 5)
    expect(found, "not served")


def test_a_lost_answer_is_found(found: Tally) -> None:
    with broken.hanging_up() as url:
        ask_all(url, [Request("GET", "/")], Expected(), found)
    assert found.lost
    with pytest.raises(AssertionError):
        found.verify()


def test_the_figures_of_all_workers_are_one_line() -> None:
    parts = [
        {"area": "routes", "tried": 3_000, "wrong": 0, "lost": 0, "longest": 0.1},
        {"area": "half-open connections", "tried": 412, "wrong": 1, "lost": 2, "longest": 0.414},
    ]
    assert line(parts) == (
        "attacks: 3,412 inputs tried, 1 answered wrong, 2 lost, longest wait 0.41 s (half-open connections)"
    )
