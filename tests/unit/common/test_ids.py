"""Identifiers."""

from __future__ import annotations

import uuid

from services.common.ids import is_marked, marked_uuid7, uuid7


def test_marked_ids_are_unique_sortable_uuids_of_version_7() -> None:
    made = [marked_uuid7() for _ in range(5000)]
    assert len(set(made)) == len(made) and all(map(is_marked, made))
    assert {(found.version, found.variant) for found in map(uuid.UUID, made)} == {(7, uuid.RFC_4122)}
    times = [found[:13] for found in made]
    assert times == sorted(times)


def test_other_ids_are_not_taken_for_marked_ones() -> None:
    assert not any(is_marked(uuid7()) for _ in range(1000))
    changed = uuid.UUID(marked_uuid7()).int ^ 1 << 70
    assert not is_marked(str(uuid.UUID(int=changed)))
