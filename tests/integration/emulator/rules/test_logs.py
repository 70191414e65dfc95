"""What CloudWatch Logs refuses."""

from __future__ import annotations

from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.codes import code_of


def test_a_log_group_that_exists_is_not_adopted(aws: Aws, stacks: Stacks) -> None:
    rule = "log-group-exists"
    aws("logs").create_log_group(logGroupName="/left/behind")
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/left/behind", "RetentionInDays": 1}}
    assert stacks.create("adopting", {"Group": group}) == "ROLLBACK_COMPLETE"
    assert any(code_of(rule) in reason and "already exists" in reason for reason in stacks.failures("adopting"))
    (kept,) = aws("logs").describe_log_groups(logGroupNamePrefix="/left/behind")["logGroups"]
    assert "retentionInDays" not in kept
