"""All rules. docs/aws-rules.md is written from this table (`make docs`)."""

from __future__ import annotations

from localcloud.emulator.rules import (
    cloudfront,
    ec2,
    ecr,
    ecs,
    elbv2,
    event_sources,
    iam,
    lambda_,
    logs,
    sagemaker,
    scheduler,
    schemas,
    secretsmanager,
)
from localcloud.emulator.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *cloudfront.RULES,
    *ec2.RULES,
    *ecr.RULES,
    *ecs.RULES,
    *elbv2.RULES,
    *event_sources.RULES,
    *iam.RULES,
    *lambda_.RULES,
    *logs.RULES,
    *sagemaker.RULES,
    *scheduler.RULES,
    *schemas.RULES,
    *secretsmanager.RULES,
)
