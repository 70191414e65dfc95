"""Decompression with a limit."""

from __future__ import annotations

import gzip

import pytest

from localcloud.gunzip import TooLargeError, gunzip


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_what_fits_comes_back(size: int) -> None:
    assert gunzip(gzip.compress(b"x" * size), 1000) == b"x" * size


def test_a_small_body_that_holds_much_is_refused_without_unpacking_it() -> None:
    with pytest.raises(TooLargeError, match="larger than 1000 bytes"):
        gunzip(gzip.compress(b"x" * 50_000_000), 1000)


@pytest.mark.parametrize(
    "data",
    [b"", b"plain text", gzip.compress(b"x" * 100)[:-4], gzip.compress(b"x" * 100)[:20]],
    # The bytes hold the time at which they were made: as names they would differ between the workers.
    ids=["empty", "plain text", "without its checksum", "cut off"],
)
def test_a_damaged_body_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not valid gzip"):
        gunzip(data, 1000)
