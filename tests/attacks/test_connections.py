"""Connections that say nothing, half of something, or go away: others are served meanwhile, nothing is left behind."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time

import psutil

from tests.attack_figures import Tally, size
from tests.attacks.service import Target
from tests.attacks.wire import LIMIT_SECONDS, Request, ask, connect, side_by_side
from tests.integration.rag.conftest import eventually

GROWTH_BYTES = 60_000_000
"""What a process may grow by in a round, once another round has filled its pools; a leak grows with each."""
SETTLE_SECONDS = 60.0
HALVES = (b"", b"G", b"GET /healthz HTTP/1.1\r\n", b"POST /rag HTTP/1.1\r\nHost: x\r\nContent-Le")


def held(process: psutil.Process) -> int:
    """Connections that the process has with its callers and with what it calls."""
    return len([each for each in process.net_connections("tcp") if each.status != psutil.CONN_LISTEN])


def attack_by_waiting(target: Target, tally: Tally, count: int, settle: float = SETTLE_SECONDS) -> None:
    """Hold connections open that say nothing more; the service answers others at once, and forgets the held ones."""
    before = held(target.process)
    with contextlib.ExitStack() as stack:
        for number in range(count):
            connection = stack.enter_context(connect(target.url))
            connection.sendall(HALVES[number % len(HALVES)])
            if number % 10 == 0:
                seen = ask(target.url, Request("GET", "/healthz"))
                slow = seen.seconds > LIMIT_SECONDS or seen.status != 200
                tally.count(f"health beside {number}", seen.seconds, fault="not served" if slow else None)
            tally.count(f"half-open {number}", 0.0)
    eventually(lambda: held(target.process) <= before + 2, settle)


def go_away(target: Target, request: Request, after: float, *, reset: bool) -> float:
    """Send a request, or a part of it, and leave without the answer; gives the seconds that it took to be taken."""
    data = request.data()
    started = time.monotonic()
    with connect(target.url) as connection:
        connection.sendall(data[: int(len(data) * after)] if after < 1 else data)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif after >= 1:
            connection.recv(1)
    return time.monotonic() - started


def abort(target: Target, tally: Tally, count: int, seed: int) -> None:
    """Leave requests at any moment; then wait until the service has let go of them."""
    dice = random.Random(seed)
    bodies = [{"query": "Why is the timeout long?", "stream": stream} for stream in (True, False)]
    tries = [
        (target.post("/rag", dice.choice(bodies)), dice.choice((0.3, 0.7, 0.95, 1.0, 1.0)), dice.random() < 0.5)
        for _ in range(count)
    ]
    for tried, seconds in zip(
        tries, side_by_side(lambda each: go_away(target, each[0], each[1], reset=each[2]), tries), strict=True
    ):
        tally.count(tried[1:], seconds, fault="a hang" if seconds > LIMIT_SECONDS else None)


def test_waiting_connections_are_in_no_ones_way(target: Target, tally: Tally) -> None:
    attack_by_waiting(target, tally, size(60, 800))
    tally.verify()


def test_requests_that_are_left_leave_nothing_behind(target: Target, tally: Tally) -> None:
    abort(target, tally, size(30, 500), seed=1)
    eventually(lambda: ask(target.url, target.post("/rag", {"query": "Why?"})).status == 200)
    time.sleep(0.5)
    connections, threads, memory = held(target.process), target.process.num_threads(), target.process.memory_info().rss
    abort(target, tally, size(60, 2_000), seed=2)
    # Kept connections to the store and the model are part of the first count.
    eventually(lambda: held(target.process) <= connections + 2, SETTLE_SECONDS)
    assert target.process.num_threads() <= threads + 2
    assert target.process.memory_info().rss <= memory + GROWTH_BYTES
    tally.verify()
