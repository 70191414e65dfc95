"""A rule of AWS: what it refuses, in which words, and who says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

Certainty = Literal["documented", "modelled", "reported", "suspected"]
"""Documented: a page of AWS says it. Modelled: AWS's service model or resource schema does. Reported: seen on AWS by
others, who published it. Suspected: a conclusion from one of these."""
Action = Literal["create", "update", "delete"]


@dataclass(frozen=True)
class Call:
    """A call of AWS's API.

    Attributes:
        service: MiniStack's name of the service, such as `logs`.
        operation: AWS's name, such as `CreateLogGroup`.
        parameters: fields of the request's body, or of its form and address; `path` has the address's parts.
        key: access key id of the caller; empty for a call that none signs.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    key: str = ""


@dataclass(frozen=True)
class Change:
    """What CloudFormation is about to do to a resource.

    Attributes:
        type: such as `AWS::Logs::LogGroup`.
        physical_id: empty when the resource is created.
        before: properties so far; empty when it is created.
        after: properties wanted; empty when it is deleted.
    """

    action: Action
    type: str
    stack: str
    logical_id: str
    physical_id: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


Values = Mapping[str, object]
"""What stands for the names in a rule's message."""


Checks = Mapping[str, Callable[[Any], Values | None]]
"""The checks of a service's rules, by the rules' names."""
ANY_TYPE = "*"


@dataclass(frozen=True)
class Rule:
    """One thing that AWS refuses.

    Attributes:
        name: in words joined by hyphens, unique.
        service: as AWS calls it, such as `CloudWatch Logs`.
        refused: what is refused and when, as half a sentence for the table.
        code: AWS's error code.
        message: AWS's words, with names in braces.
        source: address of the page, or name of the model or report.
        seen: when the source was read.
        calls: operations that the rule looks at, as `service:Operation`.
        types: resource types that the rule looks at when CloudFormation changes them; `ANY_TYPE` for all.
        status: HTTP status of the API's error.
        applies: values for the message when this call or change is refused, None when it may go on. None instead of a
            function: MiniStack refuses it by itself, and the rule cannot be left out.
    """

    name: str
    service: str
    refused: str
    code: str
    message: str
    source: str
    seen: date
    certainty: Certainty
    applies: Callable[[Any], Values | None] | None
    calls: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    status: int = 400

    def refusal(self, request: Call | Change) -> Refusal | None:
        """The error for a call or change; None when the rule lets it pass."""
        values = None if self.applies is None else self.applies(request)
        return None if values is None else Refusal(self, self.message.format(**values))


class Refusal(Exception):
    """A request that a rule refuses, in AWS's words."""

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(message)
        self.rule = rule
