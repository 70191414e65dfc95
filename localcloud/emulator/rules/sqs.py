"""Rules of SQS."""

from __future__ import annotations

import time

from ministack.core.responses import get_region

from localcloud.aws_time import factor
from localcloud.emulator.rules.rule import Call, Change, Checks, Values

TAKEN_SECONDS = 60
"""For which a deleted queue's name stays taken. They pass as fast as all of AWS's times do here."""
_deleted: dict[tuple[str, str], float] = {}
"""When a queue was deleted, by its region and name."""


def _deleted_recently(request: Call | Change) -> Values | None:
    """Remember a deletion; refuse to create what was deleted a minute ago."""
    if isinstance(request, Call):
        gone, name = request.parameters.get("QueueUrl"), request.parameters.get("QueueName")
    else:
        gone = request.physical_id if request.action == "delete" else None
        name = request.after.get("QueueName") if request.action == "create" else None
    if gone:
        _deleted[get_region(), str(gone).rpartition("/")[2]] = time.monotonic()
        return None
    since = _deleted.get((get_region(), str(name)))
    return {} if since is not None and time.monotonic() - since < TAKEN_SECONDS / factor() else None


CHECKS: Checks = {
    "queue-deleted-recently": _deleted_recently,
}
