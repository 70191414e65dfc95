"""All rules. docs/aws-rules.md is written from this table (`make docs`)."""

from __future__ import annotations

from localcloud.emulator.rules import cloudfront, lambda_, logs, sagemaker, scheduler
from localcloud.emulator.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *cloudfront.RULES,
    *lambda_.RULES,
    *logs.RULES,
    *sagemaker.RULES,
    *scheduler.RULES,
)
