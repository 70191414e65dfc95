"""The bounded file of what waits."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import IO

from services.common.spill import SpillFile


def test_records_come_back_in_order_whatever_they_hold() -> None:
    records = [b"", b"a\nb", "\u00e4".encode() * 70_000, *(str(number).encode() for number in range(50))]
    spill = SpillFile()
    assert all(spill.append(record) for record in records)
    assert spill.take(3) + spill.take(1) == records[:4]
    assert spill.append(b"later") and spill.count == 50
    assert spill.take(1000) == [*records[4:], b"later"] and spill.take(1) == []


def test_its_size_is_bounded_and_its_room_comes_back() -> None:
    spill = SpillFile(max_bytes=1000)
    record = random.Random(1).randbytes(200)
    accepted = sum(spill.append(record) for _ in range(20))
    assert accepted == 4 == spill.count
    assert spill.take(2) == [record] * 2 and not spill.append(record)
    assert spill.take(2) == [record] * 2
    assert all(spill.append(record) for _ in range(4))


def test_a_disk_that_is_full_refuses(full_disk: Callable[[], IO[bytes]]) -> None:
    spill = SpillFile(opener=full_disk)
    assert not spill.append(b"one") and not spill.append(b"two")
    assert spill.count == 0 and spill.take(5) == []
    spill.close()
