"""Division of the items to judge into time windows that one call of a Lambda can judge."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.evaluation.dataset.monitoring_dataset import iso


@dataclass(frozen=True)
class Shard:
    """The items created after `after` (None: from the beginning) and no later than `until`."""

    after: datetime | None
    until: datetime

    @property
    def key(self) -> str:
        """The same for the same window, whichever run judges it."""
        return f"{iso(self.after) if self.after else 'beginning'}/{iso(self.until)}"

    def as_dict(self) -> dict[str, Any]:
        """JSON form, for the state machine."""
        return {"after": iso(self.after) if self.after else None, "until": iso(self.until)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Shard:
        """Read the JSON form."""
        after = value["after"]
        return cls(datetime.fromisoformat(after) if after else None, datetime.fromisoformat(value["until"]))


def split(times: Iterable[datetime], after: datetime | None, size: int) -> list[Shard]:
    """Windows over items of these creation times, oldest first, each of at most `size` items.

    Items of the same creation time stay together, because a window cannot part them: a shard is larger than `size` only
    when so many items share one time. New items come after all others, so that a run that is repeated after a failure
    finds the same windows, except for the last.
    """
    shards: list[Shard] = []
    size_so_far, until = 0, None
    for created_at, group in itertools.groupby(sorted(times)):
        count = len(list(group))
        if until is not None and size_so_far + count > size:
            shards.append(Shard(after, until))
            after, size_so_far = until, 0
        size_so_far, until = size_so_far + count, created_at
    return shards if until is None else [*shards, Shard(after, until)]
