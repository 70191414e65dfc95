"""Finds previews that should be gone: what a workflow that died left behind."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from infra.names import PREFIX
from twin.target.cloudformation import CloudFormation
from twin.target.stage import Stage

STACK = re.compile(rf"{PREFIX}(pr-[1-9]\d{{0,6}})-[a-z]+")


def previews(region: Stage, now: datetime, life: timedelta) -> list[str]:
    """Stages of pull requests whose youngest stack was last deployed longer than `life` ago, in order.

    `region` lends its client; its own stage is not looked at.
    """
    touched: dict[str, datetime] = {}
    for stack in CloudFormation(region).records():
        found = STACK.fullmatch(stack.name)
        if found is not None and not stack.is_deleted:
            touched[found[1]] = max(stack.changed_at, touched.get(found[1], stack.changed_at))
    return sorted(stage for stage, when in touched.items() if now - when > life)
