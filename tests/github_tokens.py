"""Tokens as GitHub gives them to a job, and the sessions that the emulator gives for them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from tests.github_server import REPOSITORY

ISSUER = "https://token.actions.githubusercontent.com"
BRANCH = "refs/heads/main"
REGION = "us-east-1"
ENVIRONMENTS = {"preview": "preview", "deploy": "production", "teardown": "teardown", "evaluate": "evaluation"}
"""A GitHub environment of each workflow."""


def claims(workflow: str, environment: str, ref: str = BRANCH) -> dict[str, str]:
    """Claims of a job's token: https://docs.github.com/en/actions/reference/security/oidc."""
    return {
        "iss": ISSUER,
        "aud": "sts.amazonaws.com",
        "sub": f"repo:{REPOSITORY}:environment:{environment}",
        "repository": REPOSITORY,
        "environment": environment,
        "ref": ref,
        "job_workflow_ref": f"{REPOSITORY}/.github/workflows/{workflow}.yaml@{ref}",
    }


def token(told: Mapping[str, Any]) -> str:
    """A token with these claims; no key signs it."""
    return f"{_encoded({'alg': 'RS256'})}.{_encoded(told)}.unsigned"


def session(url: str, role: str, told: Mapping[str, Any], seconds: int = 3600) -> dict[str, str]:
    """Variables of a session of a role, by a token with these claims.

    Args:
        url: of the emulator.
        role: ARN.

    Raises:
        botocore.exceptions.ClientError: the role does not trust such a token.
    """
    sts = boto3.client("sts", endpoint_url=url, region_name=REGION, config=Config(signature_version=UNSIGNED))
    keys = sts.assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="GitHubActions", WebIdentityToken=token(told), DurationSeconds=seconds
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
