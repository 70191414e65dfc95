"""Rules of ECR."""

from __future__ import annotations

from ministack.services import ecr

from localcloud.emulator.rules.rule import Change, Checks, Values


def _exists(change: Change) -> Values | None:
    name = change.after.get("RepositoryName")
    return {"name": name} if change.action == "create" and name in ecr._repositories else None


CHECKS: Checks = {
    "repository-exists": _exists,
}
