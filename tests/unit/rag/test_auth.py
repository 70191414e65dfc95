"""API keys from the secret."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.rag.api.auth import KeyStore, KeysUnavailable


class Secrets:
    def __init__(self, value: str) -> None:
        self.value = value
        self.reads = 0
        self.down = False

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        self.reads += 1
        if self.down:
            raise EndpointConnectionError(endpoint_url=SecretId)
        return {"SecretString": self.value}


def keys(*names: str) -> str:
    return json.dumps({"keys": [{"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name in names]})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_known_keys_cost_one_read_a_minute() -> None:
    secrets, clock = Secrets(keys("one", "two")), Clock()
    store = KeyStore(secrets, "arn", clock)
    assert [await store.name_of(key) for key in ("one", "two", "one")] == ["one", "two", "one"]
    assert secrets.reads == 1
    clock.now += 61
    secrets.value = keys("two")
    assert await store.name_of("one") is None
    assert secrets.reads == 2


async def test_a_new_key_works_at_once_but_guessing_does_not_read_more() -> None:
    secrets, clock = Secrets(keys("one")), Clock()
    store = KeyStore(secrets, "arn", clock)
    assert [await store.name_of("guess") for _ in range(50)] == [None] * 50
    assert secrets.reads == 1
    secrets.value = keys("one", "new")
    clock.now += 3
    assert await store.name_of("new") == "new"


async def test_a_secret_without_the_json_refuses_with_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert await KeyStore(Secrets("generated-by-the-stack"), "arn").name_of("x") is None
    assert "does not hold the JSON" in caplog.text
    assert "generated-by-the-stack" not in caplog.text


async def test_an_outage_keeps_the_keys_of_before() -> None:
    secrets, clock = Secrets(keys("one")), Clock()
    store = KeyStore(secrets, "arn", clock)
    assert await store.name_of("one") == "one"
    secrets.down = True
    clock.now += 100
    assert await store.name_of("one") == "one"


async def test_an_outage_from_the_start_is_not_a_wrong_key() -> None:
    secrets = Secrets("")
    secrets.down = True
    with pytest.raises(KeysUnavailable):
        await KeyStore(secrets, "arn").name_of("one")
