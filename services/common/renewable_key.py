"""A key that a client sends with every call, and that is rotated while the client runs."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator

import boto3
import httpx
from pydantic import SecretStr

from services.common.aws_config import AWS_CONFIG
from services.common.logging import concern_logger
from services.common.secret_values import SecretUnavailableError, read_secret

logger = concern_logger("security")

REFUSALS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
MIN_AGE_SECONDS = 30.0
"""Shortest time between two reads of a key that stays refused, however many calls are made."""

Reader = Callable[[], str]
"""Returns the present key, or raises SecretUnavailableError."""


def key_from_settings(header: str, key: SecretStr | None, secret_arn: str | None) -> RenewableKey:
    """The key that a process was started with, which is read again from its secret when it is refused.

    Args:
        header: name of the header.
        key: the key at the start.
        secret_arn: of Secrets Manager; None never replaces the first key.
    """
    read: Reader | None = None
    if secret_arn:
        # The client is made now: it finds the credentials that the process has now.
        read = functools.partial(read_secret, boto3.client("secretsmanager", config=AWS_CONFIG), secret_arn)
    return RenewableKey(header, key.get_secret_value() if key else None, read)


class RenewableKey(httpx.Auth):
    """Puts a key into a header of every call; a refused key is read again, and the call is repeated once.

    Nothing is polled: a key that the server accepts is the right one. Safe to share between threads and event loops.
    """

    def __init__(
        self, header: str, key: str | None, read: Reader | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep the parts; nothing is read yet.

        Args:
            header: name of the header.
            key: the key at the start; None sends none until one is read.
            read: returns the present key, blocking; None never replaces the first key.
            clock: seconds, monotonic.
        """
        self._header = header
        self._key = key
        self._read = read
        self._clock = clock
        self._read_at: float | None = None
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Authentication of blocking clients."""
        key = self._carry(request)
        response = yield request
        if response.status_code in REFUSALS and self._renewed(key):
            self._carry(request)
            yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Authentication of clients on an event loop; the secret is read in a thread."""
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
        """Whether there is another key than the refused one now."""
        with self._lock:
            if self._key != refused:
                return True  # by another call, which was refused as well
            now = self._clock()
            if self._read is None or (self._read_at is not None and now - self._read_at < MIN_AGE_SECONDS):
                return False
            self._read_at = now
            try:
                found = self._read()
            except SecretUnavailableError as error:
                logger.error("a refused key cannot be read again", extra={"reason": str(error)})
                return False
            if found == refused:
                logger.error("a key is refused, and its secret holds no other", extra={"header": self._header})
                return False
            self._key = found
            logger.info("a refused key was replaced by the secret's new one", extra={"header": self._header})
            return True
