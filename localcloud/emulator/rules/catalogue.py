"""All rules: what stands about them in rules.toml, joined with their checks. `make docs` writes docs/aws-rules.md."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

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
from localcloud.emulator.rules.rule import Checks, Rule

FILE = Path(__file__).with_name("rules.toml")
CHECKS: Checks = {
    **cloudfront.CHECKS,
    **ec2.CHECKS,
    **ecr.CHECKS,
    **ecs.CHECKS,
    **elbv2.CHECKS,
    **event_sources.CHECKS,
    **iam.CHECKS,
    **lambda_.CHECKS,
    **logs.CHECKS,
    **sagemaker.CHECKS,
    **scheduler.CHECKS,
    **schemas.CHECKS,
    **secretsmanager.CHECKS,
}
"""By name of the rule."""


def _read() -> tuple[Rule, ...]:
    """Every rule of the file.

    Raises:
        KeyError: a rule has no check.
    """
    return tuple(_rule(name, fields) for name, fields in tomllib.loads(FILE.read_text(encoding="utf-8")).items())


def _rule(name: str, fields: dict[str, Any]) -> Rule:
    calls, types = tuple(fields.pop("calls", ())), tuple(fields.pop("types", ()))
    return Rule(name=name, applies=CHECKS[name], calls=calls, types=types, **fields)


RULES = _read()
