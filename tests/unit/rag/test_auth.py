"""API keys from the secret."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.rag.api.auth import KeyStore
from services.rag.errors import KeysUnavailable


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


async def name_of(store: KeyStore, key: str) -> str | None:
    found = await store.find(key)
    return found.name if found else None


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_known_keys_cost_one_read_a_minute() -> None:
    secrets, clock = Secrets(keys("one", "two")), Clock()
    store = KeyStore(secrets, "arn", clock)
    assert [await name_of(store, key) for key in ("one", "two", "one")] == ["one", "two", "one"]
    assert secrets.reads == 1
    clock.now += 61
    secrets.value = keys("two")
    assert await name_of(store, "one") is None
    assert secrets.reads == 2


async def test_a_new_key_works_at_once_but_guessing_does_not_read_more() -> None:
    secrets, clock = Secrets(keys("one")), Clock()
    store = KeyStore(secrets, "arn", clock)
    assert [await name_of(store, "guess") for _ in range(50)] == [None] * 50
    assert secrets.reads == 1
    secrets.value = keys("one", "new")
    clock.now += 3
    assert await name_of(store, "new") == "new"


async def test_a_secret_without_the_json_refuses_with_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert await name_of(KeyStore(Secrets("generated-by-the-stack"), "arn"), "x") is None
    assert "holds no valid JSON" in caplog.text
    assert "generated-by-the-stack" not in caplog.text


async def test_an_outage_keeps_the_keys_of_before() -> None:
    secrets, clock = Secrets(keys("one")), Clock()
    store = KeyStore(secrets, "arn", clock)
    assert await name_of(store, "one") == "one"
    secrets.down = True
    clock.now += 100
    assert await name_of(store, "one") == "one"


async def test_an_outage_from_the_start_is_not_a_wrong_key() -> None:
    secrets = Secrets("")
    secrets.down = True
    with pytest.raises(KeysUnavailable):
        await name_of(KeyStore(secrets, "arn"), "one")


async def test_a_key_may_have_its_own_rate_limit_and_a_wrong_one_disables_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    digest = {key: hashlib.sha256(key.encode()).hexdigest() for key in ("one", "two", "three", "four")}
    value = json.dumps(
        {
            "keys": [
                {"name": "a", "sha256": digest["one"], "requests_per_minute": 7},
                {"name": "b", "sha256": digest["two"]},
                {"name": "c", "sha256": digest["three"], "requests_per_minute": "many"},
                {"name": "d", "sha256": digest["four"], "requests_per_minute": 0},
            ]
        }
    )
    store = KeyStore(Secrets(value), "arn")
    found = [await store.find(key) for key in digest]
    assert [key.requests_per_minute if key else "refused" for key in found] == [7, None, "refused", "refused"]
    assert caplog.text.count("requests_per_minute") == 2


@pytest.mark.parametrize(
    "broken",
    [
        *(None, "one", 7, ["one"], {}, {"name": "bad"}, {"sha256": "0" * 64}),
        *(
            {"name": None, "sha256": "0" * 64},
            {"name": " ", "sha256": "0" * 64},
            {"name": {"of": "whom"}, "sha256": "0" * 64},
        ),
        *({"name": "bad", "sha256": None}, {"name": "bad", "sha256": 7}, {"name": "bad", "sha256": ""}),
        *(
            {"name": "bad", "sha256": "é" * 64},
            {"name": "bad", "sha256": "0" * 63},
            {"name": "bad", "sha256": "g" * 64},
        ),
        {"name": "bad", "sha256": "0" * 64, "requests_per_minute": True},
    ],
)
async def test_a_malformed_record_is_logged_and_locks_nobody_out(
    broken: object, caplog: pytest.LogCaptureFixture
) -> None:
    secrets, clock = Secrets(json.dumps({"keys": [broken, *json.loads(keys("one"))["keys"]]})), Clock()
    store = KeyStore(secrets, "arn", clock)
    with caplog.at_level(logging.ERROR):
        assert await name_of(store, "one") == "one"
        assert await name_of(store, "other") is None
    assert "API key refused: " in caplog.text
    # Its repair counts as soon as a new key would.
    secrets.value = keys("one", "other")
    clock.now += 3
    assert await name_of(store, "other") == "other"


@pytest.mark.parametrize("document", ["[]", "null", "7", '"keys"', "{}", '{"keys": {"name": "one"}}', '{"keys": null}'])
async def test_a_secret_of_another_shape_refuses_every_key(document: str) -> None:
    assert await name_of(KeyStore(Secrets(document), "arn"), "one") is None


async def test_a_digest_in_capital_letters_is_the_same_digest() -> None:
    value = keys("one").replace(hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"one").hexdigest().upper())
    assert await name_of(KeyStore(Secrets(value), "arn"), "one") == "one"
