"""Requests of doubtful framing: a second request hidden in the first is never served with the first one's key."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tests.attack_figures import Tally, size
from tests.attacks.service import Target
from tests.attacks.wire import LIMIT_SECONDS, STACK_TRACE, converse, side_by_side

T = TypeVar("T")

HIDDEN = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
"""Sent without a key behind or inside another request."""
READ_BY_HIDDEN = b"process_open_fds"
"""What the answer to it would hold."""
STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})", re.MULTILINE)
LENGTHS = ("{n}", "0", "1", "-1", "+{n}", "0x{n:x}", "{n}, {n}", "{n} {n}", "0{n}", "", "9" * 30, "{n}.0", "1e1")
CODINGS = (
    "chunked",
    "Chunked",
    " chunked",
    "chunked ",
    "xchunked",
    "identity",
    "chunked, identity",
    "gzip, chunked",
    "",
)
CHUNKS = ("0", "00", "-1", "+5", "0x5", "5;x=y", "f" * 17, "zz", "", " 5")
NAMES = ("Content-Length", "content-length", "Content-Length ", " Content-Length", "Content\tLength", "Content_Length")
ENDS = (b"\r\n", b"\n", b"\r")
PARTS = ("length", "name", "coding", "twice", "chunk", "end", "start")
STARTS = (
    b"POST /healthz HTTP/1.1",
    b"POST /rag HTTP/1.1",
    b"GET /healthz HTTP/1.0",
    b"GET /healthz HTTP/1.1",
    b"GET /healthz",
    b"GET  /healthz  HTTP/1.1",
    b"GET /healthz HTTP/9.9",
    b"GET /health\x00z HTTP/1.1",
    b"PRI * HTTP/2.0",
    b" GET /healthz HTTP/1.1",
)


def conversations(key: bytes, dice: random.Random) -> Iterator[bytes]:
    """Bytes with a key in their first request only, and none at all in every second.

    One or two parts of each are doubtful: with more, every parser gives up at the first.
    """
    for number in itertools.count():
        doubtful = set(dice.sample(PARTS, dice.choice((1, 1, 2))))

        def part(name: str, choices: Sequence[T], usual: T, doubtful: set[str] = doubtful) -> T:
            return dice.choice(choices) if name in doubtful else usual

        length = part("length", LENGTHS, LENGTHS[0]).format(n=len(HIDDEN))
        headers = [b"Host: 127.0.0.1", f"{part('name', NAMES, NAMES[0])}: {length}".encode()]
        if number % 2:
            headers.append(b"Authorization: Bearer " + key)
        if "coding" in doubtful:
            headers.append(f"Transfer-Encoding: {dice.choice(CODINGS)}".encode())
        if "twice" in doubtful:
            headers.append(f"Content-Length: {dice.choice(LENGTHS).format(n=len(HIDDEN))}".encode())
        dice.shuffle(headers)
        chunk = f"{part('chunk', CHUNKS, CHUNKS[0])}\r\n".encode()
        body = dice.choice((HIDDEN, chunk + b"\r\n" + HIDDEN, chunk + HIDDEN + b"\r\n0\r\n\r\n", b"0\r\n\r\n" + HIDDEN))
        yield (
            part("end", ENDS, ENDS[0]).join((part("start", STARTS, dice.choice(STARTS[:4])), *headers, b"", b"")) + body
        )


def attack_framing(url: str, key: str, tally: Tally, count: int) -> None:
    """Send conversations; the hidden request may be refused or unseen, but not answered."""
    sent = list(itertools.islice(conversations(key.encode(), random.Random(23)), count))
    for data, (said, seconds) in zip(sent, side_by_side(lambda data: converse(url, data), sent, 16), strict=True):
        fault = None
        if READ_BY_HIDDEN in said or key.encode() in said or STACK_TRACE in said:
            fault = "told what it must not"
        elif any(status >= b"500" for status in STATUS.findall(said)):
            fault = "a server error"
        elif seconds > LIMIT_SECONDS:
            fault = "a hang"
        tally.count(data, seconds, fault=fault)


def test_a_hidden_request_is_not_served(target: Target, tally: Tally) -> None:
    attack_framing(target.url, target.key, tally, size(160, 4_000))
    tally.verify()
