"""Routes without a key: no spelling of a path, method or proxy header reads what is not public."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from urllib.parse import urljoin

from services.rag.api.middleware import PAGE_FILES, PAGE_PATH
from tests.attack_figures import Tally, size
from tests.attacks.service import JSON, Target
from tests.attacks.wire import Expected, Request, ask, ask_all

GUARDED = (
    "/rag",
    "/v1/models",
    "/v1/models/test",
    "/v1/chat/completions",
    "/feedback",
    "/metrics",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/redoc",
)
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PREFIXES = ("", "/", "/.", "/static/..", "/static/%2e%2e", "/static/..%2f", "/healthz/..", "/static//..", "/%2e", "/;")
SUFFIXES = (
    "",
    "/",
    "//",
    "?",
    "?key=1",
    ";x=1",
    "%00",
    "%20",
    "%2f",
    "/.",
    "/..;/",
    "#/healthz",
    "%3f",
    ".json",
    "%0a",
)
HEADERS = (
    (),
    (("X-HTTP-Method-Override", "GET"),),
    (("X-Original-URL", "/healthz"),),
    (("X-Rewrite-URL", "/static/app.js"),),
    (("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1")),
    (("X-Forwarded-Host", "localhost"), ("X-Forwarded-Proto", "https")),
    (("X-Forwarded-Prefix", "/static"),),
    (("Forwarded", "for=127.0.0.1;host=localhost"),),
    (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
    (("Origin", "http://127.0.0.1"), ("Sec-Fetch-Site", "same-origin")),
    (("X-Amzn-Oidc-Data", "x.y.z"), ("X-Api-Key", "test")),
)


def spellings(path: str, dice: random.Random) -> tuple[str, ...]:
    """Other spellings of a path, which a router or a guard might read differently."""
    place = dice.randrange(1, len(path))
    before, letter, after = path[:place], ord(path[place]), path[place + 1 :]
    return (
        path,
        path.upper(),
        path.replace("/", "//"),
        path.replace("/", "\\"),
        path.replace("/", "%2f"),
        f"{before}%{letter:02x}{after}",
        f"{before}%25{letter:02x}{after}",
        f"{before}%c1%{letter | 0x80:02x}{after}",
        f"http://127.0.0.1{path}",
        f"http://other.example{path}",
    )


def keyless(dice: random.Random) -> Iterator[Request]:
    """Requests without a key for what needs one: each spelling of each path, then mixtures without end."""
    for path in GUARDED:
        yield from (Request("GET", spelling) for spelling in spellings(path, dice))
        yield from (Request(method, path) for method in sorted(set(METHODS)))
    while True:
        path = dice.choice(spellings(dice.choice(GUARDED), dice))
        prefix = "" if path.startswith("http") or dice.random() < 0.5 else dice.choice(PREFIXES)
        suffix = "" if dice.random() < 0.5 else dice.choice(SUFFIXES)
        method = dice.choice(METHODS)
        body = b'{"query": "x"}' if method == "POST" else b""
        yield Request(method, prefix + path + suffix, (*dice.choice(HEADERS), JSON), body)


def public_bodies(url: str) -> set[bytes]:
    """What anyone may read: the page, the files that it names, the health of the process, and nothing."""
    page = ask(url, Request("GET", PAGE_PATH)).body
    names = [part.partition(b'"')[0].decode() for part in page.split(f'"{PAGE_FILES}'.encode())[1:]]
    files = [urljoin(PAGE_FILES, name) for name in names]
    return {b"", page, *(ask(url, Request("GET", path)).body for path in (*files, "/healthz"))}


def attack_routes(url: str, tally: Tally, count: int, **expected: float) -> None:
    """Send requests without a key; nothing but what is public may come back."""
    ask_all(url, islice(keyless(random.Random(21)), count), Expected(True, public_bodies(url), **expected), tally)


def test_nothing_is_served_without_a_key(target: Target, tally: Tally) -> None:
    attack_routes(target.url, tally, size(600, 12_000))
    tally.verify()
    assert len(public_bodies(target.url)) > 3
