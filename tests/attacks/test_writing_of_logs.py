"""The log after everything else: no prompt, answer or key in it, and no error that the service did not expect.

The module's name puts it behind the other areas, which have filled the log.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.attack_figures import Tally, size
from tests.attacks.service import JSON, LIMITS, MARKERS, Target
from tests.attacks.test_bodies import PATHS
from tests.attacks.wire import STACK_TRACE, Expected, Request, ask_all
from tests.integration.rag.conftest import eventually
from tests.integration.rag.fakes import ANSWER

SAID = "zebra-crossing-29"
PLACES = ("query", "author", "history", "messages", "stop", "user", "reason", "trace_id", "model", SAID)
WRONG_KEY = "nearly-a-key-31"
MODES = ("ok", "model_error", "break", "stream_error", "throttled", "not_found")


def marked(target: Target, dice: random.Random) -> Request:
    """A request that says a word which must not be logged, in a place where a careless log would show it."""
    turns = [{"role": dice.choice(("user", "system", SAID)), "content": f"Why {SAID}?"} for _ in range(3)]
    body = {
        "query": f"Why {SAID}?",
        "messages": turns,
        dice.choice(PLACES): dice.choice((SAID, [SAID], {SAID: SAID}, turns, 1)),
        "stream": dice.random() < 0.5,
    }
    path = dice.choice(PATHS)
    content = json.dumps(body if path != "/rag" else {key: body[key] for key in body if key != "messages"}).encode()
    if dice.random() < 0.2:
        content = content[:-3]
    key = ("Authorization", f"Bearer {WRONG_KEY}") if dice.random() < 0.2 else target.authorization
    targets = (path, path, path, f"{path}?{SAID}=1", f"{path}/{target.key}", f"/{SAID}{path}", f"/v1/models/{SAID}")
    return Request("POST", dice.choice(targets), (key, JSON), content)


def log_faults(log: Path, secrets: tuple[str, ...]) -> list[str]:
    """What a log holds that it must not."""
    text = log.read_text(encoding="utf-8", errors="replace")
    found = [f"{secret!r} is logged" for secret in secrets if secret in text]
    found += ["a stack trace is logged"] if STACK_TRACE.decode() in text else []
    return found + [f"unexpected: {line:.300}" for line in text.splitlines() if '"unexpected error"' in line]


def test_no_prompt_key_or_unexpected_error_is_logged(target: Target, tally: Tally) -> None:
    dice = random.Random(25)
    for mode in MODES:
        target.cloud.mode = mode
        # The model fails on purpose, so a status of 502 or 503 is right here.
        requests = [marked(target, dice) for _ in range(size(15, 150))]
        for request, seen in zip(requests, ask_all(target.url, requests, Expected(), Tally("")), strict=True):
            tally.count(request, seen.seconds, fault="status 500" if seen.status == 500 else None, lost=not seen.status)
    target.cloud.mode = "ok"
    tally.verify()
    eventually(lambda: target.log.read_text(encoding="utf-8").count('"message": "request"') >= tally.tried)
    assert log_faults(target.log, (SAID, WRONG_KEY, target.key, ANSWER, *LIMITS, *MARKERS.values())) == []


@pytest.mark.parametrize("line", [f"asked: {SAID}", STACK_TRACE.decode(), '{"message": "unexpected error"}'])
def test_what_must_not_be_logged_would_be_found(tmp_path: Path, line: str) -> None:
    log = tmp_path / "log"
    log.write_text(f"started\n{line}\n", encoding="utf-8")
    assert log_faults(log, (SAID,))
