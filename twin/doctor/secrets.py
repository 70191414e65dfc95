"""Checks that the stage's secrets hold the values that no template can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import Finding, ok, skipped, warning
from twin.doctor.stacks import created
from twin.target.cloudformation import CloudFormation
from twin.target.deployment import is_untouched

SECRETS = "Secrets"
UNFILLED = {
    "API key of Opik": "no trace arrives at Opik, and evaluations fail",
    "API key of Qdrant": "every search is refused",
    "Write key of Qdrant": (
        "an ingest of a bucket and a restore are refused, and the service may hold a key that writes: "
        "put one that only reads into the secret of the API key"
    ),
    "API key of the judge": "every judgement fails; only the free scores are published",
    "Incoming webhook that alerts are posted to": "alarms reach e-mail subscribers at most",
}
"""What happens while the secret of this description holds what it was created with."""
NAMES = {
    "API key of Opik": "opik",
    "API key of Qdrant": "qdrant",
    "Write key of Qdrant": "qdrant-write",
    "API key of the judge": "judge",
    "Incoming webhook that alerts are posted to": "slack",
}
"""What `twin secrets set` calls the secret of this description."""


def _secrets(context: Context) -> Iterator[Finding]:
    client = context.stage.client("secretsmanager")
    arns = [
        resource.physical_id
        for stack in CloudFormation(context.stage).stage_stacks()
        for resource in created(context, stack)
        if resource.type == "AWS::SecretsManager::Secret"
    ]
    found = [each for each in (client.describe_secret(SecretId=arn) for arn in arns) if _meaning(each)]
    if not found:
        yield skipped(SECRETS, "not deployed yet: look again after the first deployment")
        return
    empty = [each for each in found if is_untouched(each)]
    for each in empty:
        description = str(each["Description"])
        fix = f"`twin secrets set {NAMES[description]} --stage {context.stage.name}`"
        yield warning(f"Secret: {description}", "never filled", _meaning(each), fix)
    if not empty:
        yield ok(SECRETS, f"{len(found)} filled")


def _meaning(described: dict[str, Any]) -> str:
    return UNFILLED.get(str(described.get("Description")), "")


CHECKS = (Check(SECRETS, _secrets),)
