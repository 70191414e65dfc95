"""Decompression of request bodies with a limit: a small body may hold gigabytes."""

from __future__ import annotations

import zlib

GZIP_WINDOW = 31


class TooLargeError(ValueError):
    """The body is larger than allowed once it is decompressed."""


def gunzip(data: bytes, limit: int) -> bytes:
    """The content of a gzip body, of at most `limit` bytes.

    Raises:
        TooLargeError: there is more.
        ValueError: the body is damaged or cut off.
    """
    decompressor = zlib.decompressobj(wbits=GZIP_WINDOW)
    try:
        found = decompressor.decompress(data, limit)
    except zlib.error:
        raise ValueError("the body is not valid gzip") from None
    if decompressor.unconsumed_tail:
        raise TooLargeError(f"the body is larger than {limit} bytes")
    if not decompressor.eof:
        raise ValueError("the body is not valid gzip")
    return found
