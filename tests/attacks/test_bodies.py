"""Bodies by hand: deep, wide, huge, badly encoded. None is an error of the server, and none stops it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tests.attack_figures import Tally, size
from tests.attacks.service import Target
from tests.attacks.wire import Expected, Request, ask, ask_all

PATHS = ("/rag", "/v1/chat/completions", "/feedback")
MOST_BYTES = 65_536
FIELDS = {
    "/rag": ("query", "author", "history", "stream", "enable_rag", "allow_without_context", "unknown"),
    "/v1/chat/completions": (
        "messages",
        "model",
        "temperature",
        "max_tokens",
        "stop",
        "stream",
        "n",
        "tools",
        "author",
    ),
    "/feedback": ("trace_id", "score", "reason", "unknown"),
}
VALID: dict[str, dict[str, Any]] = {
    "/rag": {"query": "Why?", "enable_rag": False},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Why?"}], "enable_rag": False},
    "/feedback": {"trace_id": "01890000-0000-7000-8000-000000000000", "score": 1},
}
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "application/xml",
    "multipart/form-data",
    "",
)
ENCODINGS = ("utf-8", "utf-16", "utf-32", "utf-8-sig", "utf-16-le")
TEXTS = (
    *(
        "",
        " ",
        "\x00",
        "\x00" * 500,
        "\ud800",
        "\udfff\ud800",
        "\u202e",
        "\ufeff",
        "\U0010ffff",
        "a\u0301" * 500,
        "\r\n" * 200,
    ),
    *("{{7*7}}", "{0.__class__}", "%s%n", "../" * 20, "$(true)", "<b>", "' --", "\x1b[31m", "x" * 50_000, "<" * 20_000),
    *("<" + " " * 30_000, ". " * 15_000, "(" * 20_000, "<|im_start|>system", "\n\n" * 9_000, "</context>" * 2_000),
)
NUMBERS = (10**400, -(10**4000), 1e308, -0.0, 2**63, 2**64, 0.1 + 0.2, float("inf"), float("-inf"), float("nan"))


def values(dice: random.Random, depth: int = 0) -> Any:
    """A JSON value of any kind."""
    kind = dice.randrange(7 if depth < 4 else 4)
    if kind == 0:
        return dice.choice(TEXTS)
    if kind == 1:
        return dice.choice(NUMBERS)
    if kind == 2:
        return dice.choice((None, True, False))
    if kind == 3:
        return dice.choice(([], {}, "", 0))
    if kind == 4:
        return [values(dice, depth + 1) for _ in range(dice.randrange(4))]
    if kind == 5:
        return [dice.choice((None, 1, "x", {}, []))] * dice.choice((10, 1_000, 12_000))
    return {
        dice.choice(("role", "content", "type", "text", "__proto__", "")): values(dice, depth + 1) for _ in range(3)
    }


def spoken(path: str, text: str) -> dict[str, Any]:
    """A body that is valid but for what a text does to it."""
    if path == "/v1/chat/completions":
        return {**VALID[path], "messages": [{"role": "system", "content": text}, {"role": "user", "content": text}]}
    return {**VALID[path], "query" if path == "/rag" else "reason": text[:4_000]}


def bodies(path: str, dice: random.Random) -> Iterator[bytes]:
    """Bodies of at most as many bytes as are allowed, without end."""
    yield from (b"", b"\x00", b"null", b"\xff\xfe\x00", b"{", b'"', b"{}" * 9_000, b"[" * MOST_BYTES, b'{"a":' * 12_000)
    yield from (b"[" + b"9" * 60_000 + b"]", b'{"query": ' + b"9" * 60_000 + b"}", b"[" + b"1," * 32_000 + b"1]")
    yield from (b'{"query": "' + b"\\u0000" * 10_000 + b'"}', b'{"query": "\\ud800"}', b'{"query": "\\x"}', b"1e999999")
    yield from (
        b'{"query": "a", "query": {"b": 1}}',
        b'{"query": "' + b"\xc3" * 500 + b'"}',
        b"\xef\xbb\xbf{}",
        b"//\n{}",
    )
    yield json.dumps({f"field{number}": number for number in range(3_000)}).encode()
    while True:
        given = {**VALID[path], dice.choice(FIELDS[path]): values(dice)}
        if dice.random() < 0.4:
            given = spoken(path, dice.choice(TEXTS))
        if dice.random() < 0.3:
            given = {dice.choice(FIELDS[path]): values(dice) for _ in range(4)}
        text = json.dumps(given, ensure_ascii=dice.random() < 0.5)
        data = text.encode(dice.choice(ENCODINGS) if dice.random() < 0.2 else "utf-8", "surrogatepass")
        if dice.random() < 0.15:
            place = dice.randrange(len(data))
            data = data[:place] + dice.randbytes(3) + data[place + 3 :]
        yield data[:MOST_BYTES]


def requests(target: Target, path: str, count: int) -> list[Request]:
    dice = random.Random(path)
    kinds = ((("Content-Type", dice.choice(TYPES)),) if dice.random() < 0.2 else () for _ in range(count))
    return [target.post(path, body, *kind) for body, kind in zip(bodies(path, dice), kinds, strict=False)]


class Pulse:
    """Asks for the health of a server all the time; the longest wait says how long its event loop stood still."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self.longest = 0.0
        self.missed = 0

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(0.1):
            seen = ask(self._url, Request("GET", "/healthz"))
            self.longest = max(self.longest, seen.seconds)
            self.missed += seen.status != 200


def attack_bodies(target: Target, tally: Tally, count: int, *, stands_still: float, **expected: float) -> None:
    """Send bodies while the health of the server is asked for, which must not wait for any of them."""
    for path in PATHS:
        started = time.monotonic()
        with Pulse(target.url) as pulse:
            ask_all(
                target.url, requests(target, path, count), Expected(secrets=(target.key.encode(),), **expected), tally
            )
        tally.count(f"health during bodies for {path}", pulse.longest)
        if pulse.longest > stands_still:
            tally.wrong.append(f"{path}: health took {pulse.longest:.1f} s of {time.monotonic() - started:.1f} s")
        if pulse.missed:
            tally.wrong.append(f"{path}: health failed {pulse.missed} times")


def test_no_body_breaks_or_stops_the_service(target: Target, tally: Tally) -> None:
    # A load balancer asks for health with a timeout of 5 s.
    attack_bodies(target, tally, size(50, 2_000), stands_still=5.0)
    tally.verify()


def test_bodies_are_generated_in_time_and_within_the_limit() -> None:
    for path in PATHS:
        made = list(islice(bodies(path, random.Random(1)), 200))
        assert len(set(made)) > 150 and all(len(body) <= MOST_BYTES for body in made)
