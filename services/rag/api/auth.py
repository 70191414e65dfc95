"""API keys: bearer tokens whose hashes live in Secrets Manager."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.common.logging import concern_logger
from services.rag.errors import KeysUnavailable

logger = concern_logger("security")

MAX_AGE_SECONDS = 60.0
# An unknown key may be new: read the secret again, but at most this often, however many unknown keys arrive.
MIN_AGE_SECONDS = 2.0
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ApiKey:
    """A key as it is stored.

    Attributes:
        name: of its owner, for logs.
        sha256: hex digest of the key.
        requests_per_minute: its own rate limit; None means the service's default.
    """

    name: str
    sha256: str
    requests_per_minute: int | None = None


class KeyStore:
    """Looks keys up in the secret, which is read at most every two seconds, and at least every minute while in use."""

    def __init__(self, client: Any, secret_arn: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; the secret is read with the first key.

        Args:
            client: boto3 `secretsmanager` client with bounded timeouts.
            secret_arn: the secret, `{"keys": [{"name": "...", "sha256": "<hex of the key>"}]}`; a key may also have
                `requests_per_minute`.
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

    async def find(self, key: str) -> ApiKey | None:
        """The stored record of a key, or None for a key that is not in the secret.

        Raises:
            KeysUnavailable: the secret has never been read and cannot be read now.
        """
        await self._refresh(MAX_AGE_SECONDS)
        found = self._find(key)
        if found is None:
            await self._refresh(MIN_AGE_SECONDS)
            found = self._find(key)
        if found is None and not self._reached:
            raise KeysUnavailable("API keys cannot be checked now: Secrets Manager does not answer.")
        return found

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _find(self, key: str) -> ApiKey | None:
        digest = hashlib.sha256(key.encode()).hexdigest()
        found = None
        # Every stored key is compared in constant time, so that the duration reveals nothing about them.
        for known in self._keys:
            if hmac.compare_digest(known.sha256, digest):
                found = known
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
                # Known keys stay valid: an outage of Secrets Manager must not become one of this service.
                logger.error("the API keys secret cannot be read", extra={"reason": type(error).__name__})
            self._read_at = self._clock()

    def _read(self) -> tuple[ApiKey, ...]:
        value = self._client.get_secret_value(SecretId=self._arn).get("SecretString", "")
        try:
            document = json.loads(value)
        except ValueError:
            document = None
        keys = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(keys, list):
            logger.error("the API keys secret holds no valid JSON with keys: every call is refused with 401")
            return ()
        return tuple(record for index, key in enumerate(keys) if (record := _record(key, index)) is not None)


def _record(key: object, index: int) -> ApiKey | None:
    """A key of the secret; None, and a line in the log, for a malformed one: it must not lock out the others."""
    fields = key if isinstance(key, dict) else {}
    name, digest, limit = fields.get("name"), fields.get("sha256"), fields.get("requests_per_minute")
    where = {"key": name if isinstance(name, str) else None, "index": index}
    if not isinstance(name, str) or not name.strip():
        logger.error("API key refused: it has no name", extra=where)
    elif not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        logger.error("API key refused: its sha256 is not 64 hexadecimal digits", extra=where)
    elif limit is not None and (type(limit) is not int or limit < 1):
        # Without its limit the key could send more than its issuer allowed.
        logger.error("API key refused: its requests_per_minute is not a whole number above 0", extra=where)
    else:
        return ApiKey(name, digest.lower(), limit)
    return None
