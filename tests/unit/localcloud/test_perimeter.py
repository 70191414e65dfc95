"""Which requests a local server takes: those of programs, and of pages that it served itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import pytest

from localcloud.perimeter import Perimeter, is_own_host

PORT = 4566
OWN = "127.0.0.1:4566"
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
Pairs = Iterable[tuple[str, str]]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:4566", "localhost:4566", "LOCALHOST:4566", "[::1]:4566", "twin.alb.localhost:4566"),
        # Programs leave the port out where they set the header themselves.
        *("127.0.0.1", "twin.alb.localhost"),
    ],
)
def test_names_of_this_machine(host: str) -> None:
    assert is_own_host(host, PORT)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example:4566", "localhost.evil.example:4566", "evil-localhost:4566", "127.0.0.1.evil.example:4566"),
        *("127.0.0.1:4567", "127.0.0.2:4566", "192.168.0.2:4566", "[::2]:4566", "localhost.:4566", "localhost:", ""),
        *(
            "user@localhost:4566",
            "localhost:4566@evil.example",
            "localhost/evil.example",
            ".localhost:4566",
            "2130706433",
        ),
        "localhost:4566 evil.example",
    ],
)
def test_names_of_others(host: str) -> None:
    assert not is_own_host(host, PORT)


def test_the_pattern_for_hosts_takes_no_longer_than_its_text() -> None:
    assert not is_own_host("a" * 100_000 + ".localhost:4566", PORT)
    assert not is_own_host("a." * 50_000 + "localhost:4566", PORT)


def test_a_program_is_served_and_no_other_origin_may_read_the_answer() -> None:
    status, headers, body = ask([("host", OWN)])
    assert (status, body) == (200, b"served")
    assert headers == {"content-type": "text/plain"}


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "evil.example:4566")],
        [("host", "")],
        [],
        [("host", OWN), ("host", "evil.example:4566")],
        [("host", OWN), ("origin", "https://evil.example")],
        [("host", OWN), ("origin", "null")],
        [("host", OWN), ("origin", "http://127.0.0.1:8080")],
        [("host", OWN), ("origin", f"https://{OWN}")],
        [("host", OWN), ("origin", f"http://{OWN}"), ("origin", "https://evil.example")],
        [("host", OWN), ("sec-fetch-site", "cross-site")],
        [("host", OWN), ("sec-fetch-site", "same-site")],
        [("host", OWN), *LINK.items()],
    ],
)
def test_a_foreign_page_is_refused_before_the_application_hears_of_it(headers: Pairs) -> None:
    status, _, body = ask(headers)
    assert status == 403
    assert b"This server is local" in body


@pytest.mark.parametrize(
    "headers",
    [
        [("host", OWN), ("origin", f"http://{OWN}"), ("sec-fetch-site", "same-origin")],
        [("host", "twin.alb.localhost:4566"), ("origin", "http://twin.alb.localhost:4566")],
        [("host", OWN), ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
    ],
)
def test_a_page_of_the_server_itself_is_served(headers: Pairs) -> None:
    assert ask(headers)[0] == 200


def test_a_link_leads_to_a_server_whose_pages_change_nothing() -> None:
    followed = [("host", OWN), *LINK.items()]
    assert ask(followed, linked=True)[0] == 200
    assert ask(followed, linked=True, method="POST")[0] == 403
    assert ask([("host", OWN), *{**LINK, "sec-fetch-dest": "iframe"}.items()], linked=True)[0] == 403
    assert ask([("host", OWN), *{**LINK, "sec-fetch-mode": "no-cors"}.items()], linked=True)[0] == 403


def test_further_names_are_whole_names() -> None:
    names = re.compile(r"[a-z0-9]+\.cloudfront\.net")
    assert ask([("host", "d123.cloudfront.net")], names=names)[0] == 200
    assert ask([("host", "d123.cloudfront.net.evil.example")], names=names)[0] == 403


def test_a_foreign_websocket_is_closed() -> None:
    sent = asyncio.run(_run({"type": "websocket", "scheme": "ws"}, [("host", OWN), ("origin", "https://evil.example")]))
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(("scheme", "page"), [("ws", "http"), ("wss", "https")])
def test_a_websocket_of_the_servers_own_page_is_served(scheme: str, page: str) -> None:
    headers = [("host", OWN), ("origin", f"{page}://{OWN}"), ("sec-fetch-site", "same-origin")]
    sent = asyncio.run(_run({"type": "websocket", "scheme": scheme}, headers))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


def ask(
    headers: Pairs, *, linked: bool = False, method: str = "GET", names: re.Pattern[str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    scope = {"type": "http", "scheme": "http", "method": method}
    start, body = asyncio.run(_run(scope, headers, linked=linked, names=names))
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], found, body["body"]


async def _run(
    scope: dict[str, Any], headers: Pairs, *, linked: bool = False, names: re.Pattern[str] | None = None
) -> list[dict[str, Any]]:
    async def served(_: Any, __: Any, send: Any) -> None:
        allowed = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-allow-headers", b"*")]
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain"), *allowed]}
        )
        await send({"type": "http.response.body", "body": b"served"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers]
    await Perimeter(served, linked=linked, names=names)(
        {**scope, "server": ("127.0.0.1", PORT), "headers": raw}, receive, send
    )
    return sent
