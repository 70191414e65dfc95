"""Whether a stack is refused by a rule, in AWS's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.conftest import Stacks
from tests.integration.emulator.rules.codes import code_of


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    """A resource of a type without `AWS::`."""
    return {"Type": f"AWS::{kind}", "Properties": properties}


def assert_stack_refused(stacks: Stacks, rule: str, words: str, **resources: Any) -> None:
    """A stack of these resources is rolled back, with the code of the rule and these words of AWS."""
    name = f"refused-{rule}"
    assert stacks.create(name, resources) == "ROLLBACK_COMPLETE"
    reasons = stacks.failures(name)
    assert any(words in reason and code_of(rule) in reason for reason in reasons), reasons
    stacks.delete(name)


def assert_call_refused(rule: str, words: str, call: Callable[..., Any], **parameters: Any) -> None:
    """A call of the API is answered with the code of the rule and these words of AWS."""
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    assert error["Code"] == code_of(rule)
    assert words in error["Message"]
