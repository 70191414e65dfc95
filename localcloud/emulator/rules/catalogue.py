"""All rules: what stands about them in rules.toml, joined with their checks. `make docs` writes docs/aws-rules.md."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from localcloud.emulator.rules import (
    application_autoscaling,
    cloudfront,
    cloudwatch,
    ec2,
    ecr,
    ecs,
    elbv2,
    event_sources,
    iam,
    lambda_,
    logs,
    quotas,
    s3,
    sagemaker,
    sagemaker_configs,
    sagemaker_placement,
    sagemaker_states,
    scheduler,
    schemas,
    secretsmanager,
    sqs,
    ssm,
    stacks,
    sts,
)
from localcloud.emulator.rules.rule import Checks, Rule

FILE = Path(__file__).with_name("rules.toml")
CHECKS: Checks = {
    **application_autoscaling.CHECKS,
    **cloudfront.CHECKS,
    **cloudwatch.CHECKS,
    **ec2.CHECKS,
    **ecr.CHECKS,
    **ecs.CHECKS,
    **elbv2.CHECKS,
    **event_sources.CHECKS,
    **iam.CHECKS,
    **lambda_.CHECKS,
    **logs.CHECKS,
    **quotas.CHECKS,
    **s3.CHECKS,
    **sagemaker.CHECKS,
    **sagemaker_configs.CHECKS,
    **sagemaker_placement.CHECKS,
    **sagemaker_states.CHECKS,
    **scheduler.CHECKS,
    **schemas.CHECKS,
    **secretsmanager.CHECKS,
    **sqs.CHECKS,
    **ssm.CHECKS,
    **stacks.CHECKS,
    **sts.CHECKS,
}
"""By name of the rule. A rule with `by_ministack = true` in the file has none."""


def _read() -> tuple[Rule, ...]:
    """Every rule of the file.

    Raises:
        KeyError: a rule has no check.
    """
    return tuple(_rule(name, fields) for name, fields in tomllib.loads(FILE.read_text(encoding="utf-8")).items())


def _rule(name: str, fields: dict[str, Any]) -> Rule:
    calls, types = tuple(fields.pop("calls", ())), tuple(fields.pop("types", ()))
    applies = None if fields.pop("by_ministack", False) else CHECKS[name]
    return Rule(name=name, applies=applies, calls=calls, types=types, **fields)


RULES = _read()
