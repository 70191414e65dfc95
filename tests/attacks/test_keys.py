"""Keys: what is nearly a key is none, wherever and however it is sent."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator
from itertools import islice
from urllib.parse import quote

from tests.attack_figures import Tally, size
from tests.attacks.service import Target
from tests.attacks.wire import Expected, Request, ask, ask_all

PROTECTED = "/v1/models"
SCHEMES = ("Bearer", "bearer", "BEARER", "Basic", "Token", "Digest", "Bearer:", "Bearer,", "Bearer=", "")
ELSEWHERE = (
    *("X-Api-Key", "Api-Key", "Proxy-Authorization", "X-Authorization", "Authorization_", "X-Auth-Token", "Cookie"),
)


def nearly(key: str, dice: random.Random) -> Iterator[str]:
    """Texts that are near a key and are not the key."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    yield from (digest, digest.upper(), key.upper(), key[:-1], key + "x", key + key, key[::-1], quote(key) + "%00")
    yield from (
        f'"{key}"',
        f"'{key}'",
        f"{key},{key}",
        f"{key};",
        f"<{key}>",
        f"{key}=",
        "*",
        "null",
        "undefined",
        "{}",
    )
    yield from (
        base64.b64encode(key.encode()).decode(),
        f"' OR '1'='1' --{key}",
        "\xa7" + key,
        key + "\xff",
        "x" * 8000,
    )
    while True:
        place = dice.randrange(len(key))
        changed = dice.choice(
            (
                key[:place] + key[place + 1 :],
                key[:place] + key[place] + key[place:],
                key[:place] + key[place].swapcase() + key[place + 1 :],
                f"{key[:place]} {key[place:]}",
                f"{key[:place]}\t{key[place:]}",
                f"{key[:place]}\xa0{key[place:]}",
                key[:place] + chr(dice.randrange(0x21, 0x100)) + key[place + 1 :],
            )
        )
        if changed.strip() != key:
            yield changed


def without_the_key(key: str, dice: random.Random) -> Iterator[Request]:
    """Requests whose authorization is none: a wrong key, a wrong scheme, or the right one in a wrong place."""
    encoded = base64.b64encode(f"user:{key}".encode()).decode()
    for value in ("", "Bearer", "Bearer ", key, f"Basic {encoded}", f"Bearer{key}", f"Bearer\t{key}", f"Bearer:{key}"):
        yield Request("GET", PROTECTED, (("Authorization", value),))
    for name in ELSEWHERE:
        yield Request("GET", PROTECTED, ((name, f"Bearer {key}"),))
        yield Request("GET", PROTECTED, ((name, key), ("Authorization", "Bearer wrong")))
    for place in ("api_key", "key", "access_token", "Authorization"):
        yield Request("GET", f"{PROTECTED}?{place}={key}")
    # The first one counts, as for the log.
    yield Request("GET", PROTECTED, (("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {key}")))
    for wrong in nearly(key, dice):
        yield Request("GET", PROTECTED, (("Authorization", f"{dice.choice(SCHEMES)} {wrong}"),))


def attack_keys(url: str, key: str, tally: Tally, count: int) -> None:
    """Send requests without a valid key; none may be let in, and no answer may repeat the key."""
    requests = islice(without_the_key(key, random.Random(22)), count)
    ask_all(url, requests, Expected(refused=True, secrets=(key.encode(),)), tally)


def test_nothing_but_the_key_is_a_key(target: Target, tally: Tally) -> None:
    attack_keys(target.url, target.key, tally, size(120, 6_000))
    tally.verify()
    assert ask(target.url, Request("GET", PROTECTED, (target.authorization,))).status == 200
