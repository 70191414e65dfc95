"""What the local cloud keeps on this machine; on AWS it is with services of its own, which a deletion leaves alone."""

from __future__ import annotations

from collections.abc import Iterable

from twin.target.errors import TwinError
from twin.target.stage import Stage

LOCAL_DATA = "data"


def without_local_data(stage: Stage, keep: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """The stacks that `keep` names, and whether it names the local data.

    Raises:
        TwinError: the stage is not local, and has no such data.
    """
    named = tuple(keep)
    keeps_data = LOCAL_DATA in named
    if keeps_data and not stage.is_local:
        raise TwinError(f"Only stage local has data to keep on this machine; stage {stage.name} has none.")
    return tuple(each for each in named if each != LOCAL_DATA), keeps_data
