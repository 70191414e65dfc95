"""Queue of samples: sends them to SQS in the background.

An accepted sample is kept until SQS took it: in memory, and beyond that in a bounded file. It is lost only when the
process ends before that, which is logged.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from services.common.logging import concern_logger
from services.common.spill import MAX_SPILL_BYTES, SpillFile

logger = concern_logger("evaluation")

# SQS: at most 10 entries per batch. A message and a batch may have 256 KiB everywhere (1 MiB in regions that follow).
MAX_BATCH = 10
MAX_BATCH_BYTES = 256 * 1024
MAX_IN_MEMORY = 1000
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0


class SampleSink(Protocol):
    """Takes samples for evaluation."""

    def offer(self, sample: dict[str, Any]) -> bool:
        """Accept or refuse a sample without blocking."""
        ...


class SampleQueue:
    """Bounded background queue to SQS."""

    def __init__(
        self,
        client: Any,
        queue_url: str,
        *,
        max_in_memory: int = MAX_IN_MEMORY,
        max_spill_bytes: int = MAX_SPILL_BYTES,
        first_backoff_seconds: float = FIRST_BACKOFF_SECONDS,
    ) -> None:
        """Prepare; `start` begins to send.

        Args:
            client: boto3 `sqs` client with bounded timeouts.
            queue_url: where samples go.
            max_in_memory: samples in memory before further ones go to the file.
            max_spill_bytes: size of the file at which samples are refused; they are compressed there.
            first_backoff_seconds: pause after the first failed attempt; doubles up to 30 s.
        """
        self._client = client
        self._url = queue_url
        self._memory: deque[str] = deque()
        self._max_in_memory = max_in_memory
        self._spill = SpillFile(max_spill_bytes)
        self._first_backoff = first_backoff_seconds
        self._changed = threading.Condition()
        self._stopping = False
        self._deadline = 0.0
        self._sending = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the sender's thread."""
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._thread.start()

    def offer(self, sample: dict[str, Any]) -> bool:
        """Accept a sample, or refuse it because memory and file are full or it is too large; never waits for SQS."""
        body = json.dumps(sample, ensure_ascii=False)
        if len(body.encode()) > MAX_BATCH_BYTES:
            logger.error("a sample is too large for the queue and was refused", extra={"characters": len(body)})
            return False
        with self._changed:
            if self._stopping:
                return False
            if len(self._memory) < self._max_in_memory:
                self._memory.append(body)
            elif not self._spill.append(body.encode()):
                logger.error("a sample was refused: the queue is down and the spill file is full")
                return False
            self._changed.notify()
        return True

    def waiting(self) -> int:
        """Number of accepted samples that SQS has not taken yet."""
        with self._changed:
            return len(self._memory) + self._spill.count + self._sending

    def stop(self, timeout_seconds: float) -> int:
        """Send the remaining samples for about `timeout_seconds` (blocks); returns how many are lost."""
        with self._changed:
            self._stopping = True
            self._deadline = time.monotonic() + timeout_seconds
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_seconds + 1)
        lost = self.waiting()
        if lost:
            logger.error("samples are lost: the queue did not take them before the end", extra={"samples": lost})
        self._spill.close()
        return lost

    def _run(self) -> None:
        backoff = self._first_backoff
        while (batch := self._next()) is not None:
            left = self._send(batch)
            with self._changed:
                self._sending = 0
                self._memory.extendleft(reversed(left))
                if not left:
                    backoff = self._first_backoff
                    continue
                # Jitter: several processes must not retry at the same time.
                pause = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
                self._wait(pause)
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    def _wait(self, seconds: float) -> None:
        """Pause, but no longer than the shutdown allows; new samples do not end it."""
        until = time.monotonic() + seconds
        while (left := (min(until, self._deadline) if self._stopping else until) - time.monotonic()) > 0:
            self._changed.wait(left)

    def _next(self) -> list[str] | None:
        """Wait for the next batch; None when the thread has to end."""
        with self._changed:
            while True:
                if self._stopping and time.monotonic() >= self._deadline:
                    return None
                # Memory first, then what came later and spilled. Order does not matter to the evaluation.
                if not self._memory and self._spill.count:
                    self._memory.extend(body.decode() for body in self._spill.take(self._max_in_memory))
                if self._memory:
                    return self._take_batch()
                if self._stopping:
                    return None
                self._changed.wait()

    def _take_batch(self) -> list[str]:
        batch: list[str] = []
        size = 0
        while self._memory and len(batch) < MAX_BATCH:
            size += len(self._memory[0].encode())
            if batch and size > MAX_BATCH_BYTES:
                break
            batch.append(self._memory.popleft())
        self._sending = len(batch)
        return batch

    def _send(self, batch: list[str]) -> list[str]:
        """Send and return what has to be sent again."""
        entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(batch)]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (BotoCoreError, ClientError, OSError) as error:
            logger.warning("the samples queue cannot be reached; trying again", extra={"reason": type(error).__name__})
            return batch
        failed = answer.get("Failed", [])
        for entry in failed:
            if entry.get("SenderFault"):
                logger.error("the samples queue refused a sample for good", extra={"reason": entry.get("Code")})
        return [batch[int(entry["Id"])] for entry in failed if not entry.get("SenderFault")]
