"""`twin doctor`: every check of a stage, before it is deployed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twin.doctor import (
    account,
    alerts,
    certificate,
    expiry,
    host_memory,
    images,
    judge,
    machine,
    model,
    quotas,
    regions,
    secrets,
    stacks,
    updates,
    validation,
)
from twin.doctor.check import Check, run
from twin.doctor.finding import Finding, Status
from twin.target.errors import TwinError
from twin.target.stage import STAGE_NAME

LOCAL: tuple[Check, ...] = (*machine.EVERYWHERE, *machine.LOCAL)
AWS: tuple[Check, ...] = (
    *machine.EVERYWHERE,
    *account.CHECKS,
    *regions.CHECKS,
    *expiry.CHECKS,
    *stacks.CHECKS,
    *quotas.CHECKS,
    *model.CHECKS,
    *host_memory.CHECKS,
    *updates.CHECKS,
    *images.CHECKS,
    *certificate.CHECKS,
    *alerts.CHECKS,
    *secrets.CHECKS,
    *judge.CHECKS,
)


def doctor(stage: str, model_dir: Path | None = None, *, online: bool = False) -> list[Finding]:
    """Every check of this machine and, for a stage on AWS, of its settings, account, model and images.

    Args:
        model_dir: directory with the model's `config.json` and weights, when the hub cannot be reached.
        online: whether CloudFormation is to look at the templates as well, for which change sets are made and deleted.

    Raises:
        TwinError: for a name that no stage can have.
    """
    if not STAGE_NAME.fullmatch(stage):
        raise TwinError(f"STAGE={stage!r} is not a stage name: use local, dev, prod, or lower-case letters and digits.")
    context, opened = account.open_context(stage)
    checks = (*(LOCAL if stage == "local" else AWS), *(validation.CHECKS if online else ()))
    return [*opened, *run(checks, replace(context, model_dir=model_dir))]


def has_failed(findings: list[Finding]) -> bool:
    """Whether a deployment would fail."""
    return any(finding.status is Status.FAILED for finding in findings)
