"""API keys: bearer tokens whose hashes live in Secrets Manager."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)

MAX_AGE_SECONDS = 60.0
# A key that nobody knows may be new: look again, but not more often than this, whatever callers send.
MIN_AGE_SECONDS = 2.0


class KeysUnavailable(Exception):  # noqa: N818 - the name says what happened
    """The keys have never been read and cannot be read now; the message may be shown to a caller."""


@dataclass(frozen=True)
class ApiKey:
    """A key as it is stored."""

    name: str
    sha256: str


class KeyStore:
    """Looks keys up in the secret, which is read at most every two seconds and at least every minute of use."""

    def __init__(self, client: Any, secret_arn: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; the secret is read with the first key.

        Args:
            client: boto3 `secretsmanager` client with bounded timeouts.
            secret_arn: the secret, `{"keys": [{"name": "...", "sha256": "<hex of the key>"}]}`.
            clock: seconds, monotonic.
        """
        self._client = client
        self._arn = secret_arn
        self._clock = clock
        self._keys: tuple[ApiKey, ...] = ()
        self._read_at: float | None = None
        self._reached = False
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="api-keys")

    async def name_of(self, key: str) -> str | None:
        """Name of the key's owner, or None for a key that is not in the secret.

        Raises:
            KeysUnavailable: the secret has never been read and cannot be read now.
        """
        await self._refresh(MAX_AGE_SECONDS)
        name = self._find(key)
        if name is None:
            await self._refresh(MIN_AGE_SECONDS)
            name = self._find(key)
        if name is None and not self._reached:
            raise KeysUnavailable("API keys cannot be checked now: Secrets Manager does not answer.")
        return name

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _find(self, key: str) -> str | None:
        digest = hashlib.sha256(key.encode()).hexdigest()
        found = None
        # Every stored key is compared, in constant time: how long it takes says nothing about any of them.
        for known in self._keys:
            if hmac.compare_digest(known.sha256, digest):
                found = known.name
        return found

    async def _refresh(self, max_age: float) -> None:
        if self._read_at is not None and self._clock() - self._read_at < max_age:
            return
        async with self._lock:
            if self._read_at is not None and self._clock() - self._read_at < max_age:
                return
            try:
                self._keys = await asyncio.get_running_loop().run_in_executor(self._thread, self._read)
                self._reached = True
            except (BotoCoreError, ClientError) as error:
                # The keys of before stay valid: an outage of Secrets Manager is not one of this service.
                logger.error("the API keys secret cannot be read", extra={"reason": type(error).__name__})
            self._read_at = self._clock()

    def _read(self) -> tuple[ApiKey, ...]:
        value = self._client.get_secret_value(SecretId=self._arn).get("SecretString", "")
        try:
            return tuple(ApiKey(str(key["name"]), str(key["sha256"]).lower()) for key in json.loads(value)["keys"])
        except (ValueError, KeyError, TypeError):
            logger.error("the API keys secret does not hold the JSON with keys yet: every call is refused with 401")
            return ()
