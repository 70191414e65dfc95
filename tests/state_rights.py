"""Enforces in tests what the templates let each evaluation function do with the state table's keys.

The emulator checks no role. So every call of DynamoDB that this process makes is compared here, before it is sent, with
the policy of the function that makes it, and refused as DynamoDB would refuse it.
"""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.exceptions import ClientError

HANDLERS = "services.evaluation.handlers."
CONDITION = ("ForAllValues:StringLike", "dynamodb:LeadingKeys")

Rights = dict[str, dict[str, list[str]]]
"""By handler and call: patterns of the keys."""


def rights(template: Mapping[str, Any]) -> Rights:
    """What the evaluation stack's template grants on the table's keys."""
    resources = template["Resources"]
    by_role: dict[str, dict[str, list[str]]] = {}
    for policy in (one["Properties"] for one in resources.values() if one["Type"] == "AWS::IAM::Policy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for call in (action.removeprefix("dynamodb:") for action in actions if action.startswith("dynamodb:")):
                patterns = statement.get("Condition", {}).get(CONDITION[0], {}).get(CONDITION[1], ["*"])
                (role,) = policy["Roles"]
                by_role.setdefault(role["Ref"], {}).setdefault(call, []).extend(
                    patterns if isinstance(patterns, list) else [patterns]
                )
    functions = (one["Properties"] for one in resources.values() if one["Type"] == "AWS::Lambda::Function")
    return {one["Handler"].split(".")[-2]: by_role.get(one["Role"]["Fn::GetAtt"][0], {}) for one in functions}


@contextmanager
def enforced(granted: Rights) -> Iterator[set[tuple[str, str, str]]]:
    """Refuse calls that a function has no right to; clients that are made meanwhile are watched.

    Yields:
        Handler, call and key of everything that was permitted.
    """
    seen: set[tuple[str, str, str]] = set()

    def check(params: dict[str, Any], model: Any, **_: Any) -> None:
        key = (params.get("Key") or params.get("Item") or {}).get("key", {}).get("S")
        handler = _caller()
        if key is None or handler is None:
            return
        if not any(fnmatch.fnmatchcase(key, pattern) for pattern in granted[handler].get(model.name, ())):
            why = f"{handler} is not authorized to perform: dynamodb:{model.name} on key {key}"
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": why}}, model.name)
        seen.add((handler, model.name, key))

    if boto3.DEFAULT_SESSION is None:
        boto3.setup_default_session()
    events = boto3.DEFAULT_SESSION.events
    events.register("provide-client-params.dynamodb", check)
    try:
        yield seen
    finally:
        events.unregister("provide-client-params.dynamodb", check)


def _caller() -> str | None:
    """The handler that the present call comes from; None for the test itself and for threads."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(HANDLERS):
            return module.removeprefix(HANDLERS)
        frame = frame.f_back
    return None
