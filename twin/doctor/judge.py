"""Checks that the judge model can be called: access on Bedrock, an endpoint on SageMaker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from infra.settings.judge import PROFILE
from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped

JUDGE = "Judge"
UNKNOWN = ("ResourceNotFoundException", "ValidationException")
WHY = "every judgement fails; only the free scores are published"


def _judge(context: Context) -> Iterator[Finding]:
    judge = context.known.judge
    if judge.provider == "none":
        yield skipped(JUDGE, "not needed: only the free scores are asked for")
    elif judge.provider == "openai":
        yield ok(JUDGE, f"{judge.model} at {judge.url}; its key is looked at with the secrets")
    elif judge.provider == "bedrock":
        yield _bedrock(context, judge.model or "")
    elif judge.endpoint_name:
        yield _endpoint(context, judge.endpoint_name)
    else:
        yield ok(JUDGE, "the twin's own endpoint, which judging wakes")


def _bedrock(context: Context, model: str) -> Finding:
    """Asked of the foundation model, also behind an inference profile, in the stage's region.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_GetFoundationModelAvailability.html
    """
    region = context.stage.region
    profile = PROFILE.match(model)
    client = context.stage.client("bedrock")
    page = f"https://{region}.console.aws.amazon.com/bedrock/home?region={region}#/model-catalog"
    try:
        if profile:
            client.get_inference_profile(inferenceProfileIdentifier=model)
        found = client.get_foundation_model_availability(modelId=profile["model"] if profile else model)
    except ClientError as error:
        if error.response["Error"]["Code"] not in UNKNOWN:
            raise
        return failed(JUDGE, f"{region} knows no {model}", WHY, f"correct `model` in [judge]: {page}")
    lacking = _lacking(found, behind_profile=bool(profile))
    if lacking:
        return failed(JUDGE, f"{model}: {', '.join(lacking)}", WHY, f"ask for access to the model: {page}")
    return ok(JUDGE, f"{model} may be asked in {region}")


def _lacking(found: dict[str, Any], *, behind_profile: bool) -> list[str]:
    """What the account lacks to call the model; a profile also calls other regions than this one."""
    agreement = (found.get("agreementAvailability") or {}).get("status")
    states = {
        "not authorized": found.get("authorizationStatus") == "AUTHORIZED",
        "no entitlement": found.get("entitlementAvailability") == "AVAILABLE",
        f"agreement {agreement}": agreement == "AVAILABLE",
        "not in this region": behind_profile or found.get("regionAvailability") == "AVAILABLE",
    }
    return [name for name, holds in states.items() if not holds]


def _endpoint(context: Context, name: str) -> Finding:
    try:
        status = context.stage.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        fix = "correct `endpoint_name` in [judge], or leave it empty for the twin's own endpoint"
        return failed(JUDGE, f"no endpoint {name} in {context.stage.region}", WHY, fix)
    if status != "InService":
        fix = f"`aws sagemaker describe-endpoint --endpoint-name {name}`"
        return failed(JUDGE, f"endpoint {name} is {status}", WHY, fix)
    return ok(JUDGE, f"endpoint {name} is in service")


CHECKS = (Check(JUDGE, _judge),)
