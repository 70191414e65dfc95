"""Rate limits: a key gets as many requests as it may send, whatever they look like, and not one more."""

from __future__ import annotations

import random
import time

import pytest

from tests.attack_figures import Tally, size
from tests.attacks.service import JSON, LIMITS, Target
from tests.attacks.wire import Expected, Request, ask, ask_all

BODIES = (b'{"query": "Why?", "enable_rag": false}', b"{}", b"", b"\xff", b"[]")
PATHS = ("/rag", "/v1/chat/completions", "/feedback", "/rag/", "/RAG", "//rag", "/unknown", "/rag?x=1", "/%72ag")


def disguised(key: str, dice: random.Random) -> Request:
    """A request of a key that tries to count as another caller's, or as none."""
    address = f"10.{dice.randrange(256)}.{dice.randrange(256)}.1"
    headers = (
        ("Authorization", dice.choice((f"Bearer {key}", f"bearer {key}", f"BEARER  {key} "))),
        (dice.choice(("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Request-Id", "User-Agent")), address),
        JSON,
    )
    return Request("POST", dice.choice(PATHS), headers, dice.choice(BODIES))


def attack_rate(url: str, key: str, limit: int, tally: Tally, count: int) -> None:
    """Send more than a key may; those above the limit are refused with 429."""
    dice = random.Random(limit)
    started = time.monotonic()
    answers = ask_all(url, [disguised(key, dice) for _ in range(count)], Expected(), tally)
    most = limit + int((time.monotonic() - started) * limit / 60)
    passed = sum(seen.status != 429 for seen in answers)
    if not limit <= passed <= most:
        tally.wrong.append(f"{passed} of {count} passed, allowed were {limit} to {most}")


@pytest.mark.parametrize(("key", "limit"), sorted(LIMITS.items()))
def test_a_limit_is_exact(target: Target, tally: Tally, key: str, limit: int) -> None:
    attack_rate(target.url, key, limit, tally, size(4 * limit, 40 * limit))
    tally.verify()
    other = Request("POST", "/feedback", (target.authorization, JSON), b"{}")
    assert ask(target.url, other).status == 422, "the limit of one key is not that of another"
