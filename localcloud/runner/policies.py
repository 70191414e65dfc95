"""IAM policy evaluation, as far as the runner needs it: whether statements allow an action on a resource.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html. Conditions,
boundaries and resource policies are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Statement = Mapping[str, Any]


def allows(statements: Iterable[Statement], action: str, resource: str) -> bool:
    """Whether `statements` allow `action` on `resource`; an explicit deny wins. Conditions count as met.

    Args:
        statements: statements of identity policies, as in their JSON.
        action: e.g. `sqs:SendMessage`; case does not matter.
        resource: ARN; case matters.
    """
    allowed = False
    for statement in statements:
        if _matches(statement, "Action", action.lower()) and _matches(statement, "Resource", resource):
            if statement.get("Effect") == "Deny":
                return False
            allowed = True
    return allowed


def _matches(statement: Statement, key: str, value: str) -> bool:
    if f"Not{key}" in statement:
        return not any(_matches_pattern(pattern, value, key) for pattern in _as_list(statement[f"Not{key}"]))
    return any(_matches_pattern(pattern, value, key) for pattern in _as_list(statement.get(key, ())))


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _matches_pattern(pattern: str, value: str, key: str) -> bool:
    return bool(_regex(pattern.lower() if key == "Action" else pattern).fullmatch(value))


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    """IAM's wildcards: `*` is any run of characters, `?` is one."""
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern), re.DOTALL)
