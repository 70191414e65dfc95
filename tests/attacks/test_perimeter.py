"""The perimeter of the local servers: no spelling of a foreign host or origin passes for one of this machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from localcloud.perimeter import Perimeter
from tests.asgi_server import serving
from tests.attack_figures import Tally, size
from tests.attacks.wire import Expected, Request, ask, ask_all

OWN_NAMES = ("127.0.0.1", "localhost", "[::1]", "opik.localhost")
FOREIGN_NAMES = (
    *("page.example", "127.0.0.2", "10.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0", "[::]"),
    *(
        "[::ffff:127.0.0.1]",
        "localhost.",
        "127.0.0.1.",
        "notlocalhost",
        "local host",
        "*",
        "%6cocalhost",
        "loc\xe4lhost",
    ),
)
AROUND = (
    *("{own}.page.example", "page.example#{own}", "page.example/{own}", "{own}@page.example", "{own},page.example"),
    *("page.example, {own}", "{own} page.example", "{own}\tx", "{own}\\.page.example", "{own};page.example", "{own}-"),
)
ORIGINS = (
    *("null", "https://page.example", "http://{own}.page.example", "https://{own}:{port}", "http://{own}:{other}"),
    *(
        "http://{own}",
        "http://{own}:{port}.page.example",
        "http://{own}:{port}@page.example",
        "file://",
        "{own}:{port}",
    ),
    *(
        "http://{own}:{port}/",
        "http://{own}:{port} https://page.example",
        "chrome-extension://abc",
        "http://[::1]:{other}",
    ),
)
SITES = ("cross-site", "same-site")


def foreign(port: int, dice: random.Random) -> Iterator[Request]:
    """Requests of which one header at least is what a page of another origin sends."""
    while True:
        own, other = dice.choice(OWN_NAMES), dice.choice([port + 1, 80, 443, port * 10])
        kind = dice.randrange(4)
        name = dice.choice((*FOREIGN_NAMES, *AROUND)).format(own=own)
        wrong = dice.choice((f"{name}:{port}", name, f"{own}:{other}", f"{own}:", f"{own}:{port}x", ""))
        host = ("Host", wrong if kind == 0 else f"{own}:{port}")
        headers: tuple[tuple[str, str], ...] = (host,)
        if kind == 1:
            headers = (host, ("Origin", dice.choice(ORIGINS).format(own=own, port=port, other=other)))
        elif kind == 2:
            headers = (
                host,
                ("Sec-Fetch-Site", dice.choice(SITES)),
                ("Sec-Fetch-Mode", dice.choice(("cors", "no-cors"))),
            )
        elif kind == 3:
            headers = tuple(dice.sample([host, ("Host", f"page.example:{port}")], 2))
        yield Request(dice.choice(("GET", "POST", "OPTIONS", "DELETE")), dice.choice(("/", "/x", "/?a=b")), headers)


def attack_perimeter(app: ASGIApp, tally: Tally, count: int) -> None:
    """Serve an application and send what foreign pages send."""
    with serving(app) as url:
        port = int(url.rpartition(":")[2])
        ask_all(url, islice(foreign(port, random.Random(26)), count), Expected(refused=True), tally)
        for own in OWN_NAMES:
            assert ask(url, Request("GET", "/", (("Host", f"{own}:{port}"),))).status == 200


def test_no_foreign_page_is_served(tally: Tally) -> None:
    attack_perimeter(Perimeter(PlainTextResponse("served")), tally, size(150, 5_000))
    tally.verify()
