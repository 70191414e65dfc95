"""A key that callers of a service carry, and that changes while they run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator

import boto3
import httpx
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from services.common.aws_config import AWS_CONFIG
from services.common.logging import concern_logger

logger = concern_logger("security")

REFUSALS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
MIN_AGE_SECONDS = 30.0
"""A key that stays refused is not read more often than this, whatever is asked meanwhile."""

Reader = Callable[[], str]


def secret_reader(arn: str) -> Reader:
    """What reads a secret of Secrets Manager; the client is made now, with the credentials of now.

    The reader raises `ClientError` or `BotoCoreError` when the secret cannot be read.
    """
    client = boto3.client("secretsmanager", config=AWS_CONFIG)
    return lambda: str(client.get_secret_value(SecretId=arn).get("SecretString", "")).strip()


def key_from_settings(header: str, key: SecretStr | None, secret_arn: str | None) -> RenewableKey:
    """The key that a process was started with, renewed from the secret that it came from.

    Args:
        header: name of the header.
        key: as it was at the start.
        secret_arn: of Secrets Manager; None leaves the key at the first.
    """
    return RenewableKey(
        header, key.get_secret_value() if key else None, secret_reader(secret_arn) if secret_arn else None
    )


class RenewableKey(httpx.Auth):
    """Puts a key into a header of every call; one that is refused is read anew, and the call made once more.

    Nothing is polled: as long as the server takes the key, it is the right one. Safe to share between threads and
    event loops.
    """

    def __init__(
        self, header: str, key: str | None, read: Reader | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            header: name of the header.
            key: as it was at the start; None sends none until one is read.
            read: gives the key of now, blocking; None leaves it at the first.
            clock: seconds, monotonic.
        """
        self._header = header
        self._key = key
        self._read = read
        self._clock = clock
        self._read_at: float | None = None
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """For blocking clients."""
        key = self._carry(request)
        response = yield request
        if response.status_code in REFUSALS and self._renewed(key):
            self._carry(request)
            yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """For clients on an event loop, which goes on meanwhile."""
        key = self._carry(request)
        response = yield request
        if response.status_code in REFUSALS and await asyncio.to_thread(self._renewed, key):
            self._carry(request)
            yield request

    def _carry(self, request: httpx.Request) -> str | None:
        key = self._key
        if key is not None:
            request.headers[self._header] = key
        return key

    def _renewed(self, refused: str | None) -> bool:
        """Whether there is now another key than the refused one."""
        with self._lock:
            if self._key != refused:
                return True  # by another call, which was refused as well
            now = self._clock()
            if self._read is None or (self._read_at is not None and now - self._read_at < MIN_AGE_SECONDS):
                return False
            self._read_at = now
            try:
                found = self._read()
            except (BotoCoreError, ClientError) as error:
                logger.error("a refused key cannot be read anew", extra={"reason": type(error).__name__})
                return False
            if not found or found == refused:
                logger.error("a key is refused, and its secret holds no other", extra={"header": self._header})
                return False
            self._key = found
            logger.info("a refused key was replaced by the secret's new one", extra={"header": self._header})
            return True
