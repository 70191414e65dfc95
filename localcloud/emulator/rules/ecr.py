"""Rules of ECR."""

from __future__ import annotations

from datetime import date

from ministack.services import ecr

from localcloud.emulator.rules.rule import Change, Rule, Values


def _exists(change: Change) -> Values | None:
    name = change.after.get("RepositoryName")
    return {"name": name} if change.action == "create" and name in ecr._repositories else None


RULES = (
    Rule(
        name="repository-exists",
        service="ECR",
        refused="a stack creates a repository whose name exists",
        code="AlreadyExists",
        message="Resource of type 'AWS::ECR::Repository' with identifier '{name}' already exists.",
        source="https://github.com/stratospheric-dev/stratospheric/issues/204",
        seen=date(2026, 11, 29),
        certainty="reported",
        applies=_exists,
        types=("AWS::ECR::Repository",),
    ),
)
