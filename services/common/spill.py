"""A bounded file for records that wait for an unavailable server and do not fit into memory."""

from __future__ import annotations

import logging
import struct
import tempfile
import zlib
from collections.abc import Callable
from typing import IO

logger = logging.getLogger(__name__)

# Two of them fit into the smallest /tmp that a task gets by default (64 MiB).
MAX_SPILL_BYTES = 28 * 1024 * 1024
# The fastest level shrinks prompts and their documents to a fifth.
_LEVEL = 1
_LENGTH = struct.Struct("<I")


def _unnamed_file() -> IO[bytes]:
    # Without a buffer, no bytes of a failed write are written by a later call after a full disk.
    return tempfile.TemporaryFile(buffering=0)


class SpillFile:
    """Compressed records, first in, first out, in an unnamed temporary file, which the system removes with the process.

    Not thread-safe.
    """

    def __init__(self, max_bytes: int = MAX_SPILL_BYTES, opener: Callable[[], IO[bytes]] = _unnamed_file) -> None:
        """Keep the parts; the file is made with the first record.

        Args:
            max_bytes: largest size of the file.
            opener: makes the file, for reading and writing, unbuffered.
        """
        self._max_bytes = max_bytes
        self._open = opener
        self._file: IO[bytes] | None = None
        self._read_at = 0
        self._end = 0
        self.count = 0
        """Records in the file."""

    def append(self, record: bytes) -> bool:
        """Write a record to the page cache (microseconds); False when the file is full or cannot be written."""
        packed = zlib.compress(record, _LEVEL)
        entry = _LENGTH.pack(len(packed)) + packed
        if self._end + len(entry) > self._max_bytes:
            return False
        try:
            self._file = self._file or self._open()
            self._file.seek(self._end)
            written = self._file.write(entry)
        except OSError as error:
            logger.warning("the spill file cannot be written", extra={"reason": str(error)})
            return False
        if written < len(entry):
            return False
        self._end += len(entry)
        self.count += 1
        return True

    def take(self, most: int) -> list[bytes]:
        """Remove and return the oldest records."""
        if self._file is None or not self.count:
            return []
        self._file.seek(self._read_at)
        records = []
        for _ in range(min(most, self.count)):
            (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            records.append(zlib.decompress(self._file.read(length)))
        self._read_at = self._file.tell()
        self.count -= len(records)
        if not self.count:
            self._file.truncate(0)
            self._read_at = self._end = 0
        return records

    def close(self) -> None:
        """Close and thereby remove the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
