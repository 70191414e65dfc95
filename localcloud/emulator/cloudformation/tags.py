"""In-place changes of tags, which no CloudFormation type replaces a resource for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.emulator.registry import Properties

Tag = dict[str, str]


def retag(
    old: Properties,
    new: Properties,
    put: Callable[[list[Tag]], Any],
    drop: Callable[[list[str]], Any],
    key: str = "Tags",
) -> None:
    """Bring a resource's tags from `old` to `new`.

    Args:
        old: the properties so far.
        new: the properties wanted.
        put: sets tags; called only when some are new or changed.
        drop: removes tags by key; called only when some are gone.
        key: the property that lists the tags.
    """
    before = {tag["Key"]: tag["Value"] for tag in old.get(key) or ()}
    after = {tag["Key"]: tag["Value"] for tag in new.get(key) or ()}
    if gone := [name for name in before if name not in after]:
        drop(gone)
    if changed := [{"Key": k, "Value": value} for k, value in after.items() if before.get(k) != value]:
        put(changed)
