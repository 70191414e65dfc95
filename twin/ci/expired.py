"""Finds previews that should be gone: what a workflow that died left behind."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from twin.target.stage import Stage

STACK = re.compile(r"twin-(pr-[1-9]\d{0,6})-[a-z]+")


def previews(region: Stage, now: datetime, life: timedelta) -> list[str]:
    """Stages of pull requests whose youngest stack was last deployed longer than `life` ago, in order.

    `region` lends its client; its own stage is not looked at.
    """
    touched: dict[str, datetime] = {}
    for page in region.client("cloudformation").get_paginator("list_stacks").paginate():
        for stack in page["StackSummaries"]:
            found = STACK.fullmatch(stack["StackName"])
            if found is None or stack["StackStatus"] == "DELETE_COMPLETE":
                continue
            when = stack.get("LastUpdatedTime") or stack["CreationTime"]
            touched[found[1]] = max(when, touched.get(found[1], when))
    return sorted(stage for stage, when in touched.items() if now - when > life)
