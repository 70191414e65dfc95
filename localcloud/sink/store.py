"""Store of received messages: one bounded JSONL file, readable again after a restart or a kill."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_MESSAGES = 1000


@dataclass(frozen=True)
class Message:
    """One received POST.

    Attributes:
        id: 1, 2, 3, ... in order of arrival; never reused within one data folder.
        received_at: UTC, ISO 8601.
        path: request path.
        kind: `slack`, `sentry` or `webhook`.
        content_type: as sent, without interpretation.
        body: the (decompressed) body as text.
    """

    id: int
    received_at: str
    path: str
    kind: str
    content_type: str
    body: str


class MessageStore:
    """The last `max_messages` messages. The file is rewritten when it has twice as many lines. Safe for many threads.

    Args:
        folder: created when it does not exist.
        max_messages: older messages are dropped.

    Raises:
        OSError: the folder or file cannot be used.
    """

    def __init__(self, folder: Path, max_messages: int = MAX_MESSAGES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "messages.jsonl"
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque(maxlen=max_messages)
        self._max_messages = max_messages
        self._last_id = 0
        self._load()
        self._rewrite()  # drops a half-written last line, so that the next append starts a line of its own

    def add(self, *, received_at: str, path: str, kind: str, content_type: str, body: str) -> Message:
        """Record a message, which is in the file when this returns.

        The arguments are those of `Message`; the id is assigned here.

        Raises:
            OSError: the file cannot be written, e.g. because the disk is full; the message is not recorded then.
        """
        with self._lock:
            message = Message(self._last_id + 1, received_at, path, kind, content_type, body)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(message))
            self._messages.append(message)
            self._last_id = message.id
            self._lines += 1
            if self._lines >= 2 * self._max_messages:
                self._rewrite()
            return message

    def after(self, last_seen: int) -> list[Message]:
        """Messages with an id above `last_seen`, oldest first."""
        with self._lock:
            return [message for message in self._messages if message.id > last_seen]

    def _load(self) -> None:
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    message = Message(**json.loads(line))
                except (ValueError, TypeError):
                    continue  # a line that a kill cut off
                self._messages.append(message)
                self._last_id = max(self._last_id, message.id)

    def _rewrite(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(_line(message) for message in self._messages)
        temporary.replace(self._path)
        self._lines = len(self._messages)


def _line(message: Message) -> str:
    return json.dumps(asdict(message), ensure_ascii=False) + "\n"
