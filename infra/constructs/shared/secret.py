"""Secrets whose values are set after deployment, by hand or by `twin`: templates never hold one."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge


def placeholder_secret(scope: Construct, construct_id: str, description: str) -> secretsmanager.Secret:
    """A secret that starts with a generated placeholder."""
    secret = secretsmanager.Secret(
        scope,
        construct_id,
        description=description,
        generate_secret_string=secretsmanager.SecretStringGenerator(exclude_punctuation=True, password_length=40),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    _rotation_is_manual(secret)
    return secret


def empty_key_list(scope: Construct, construct_id: str, description: str) -> secretsmanager.Secret:
    """The list of hashed API keys; it starts empty, so that no request is accepted before a key is issued."""
    secret = secretsmanager.Secret(
        scope,
        construct_id,
        description=description,
        secret_string_value=cdk.SecretValue.unsafe_plain_text('{"keys": []}'),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    _rotation_is_manual(secret)
    return secret


def _rotation_is_manual(secret: secretsmanager.Secret) -> None:
    acknowledge(
        secret,
        "AwsSolutions-SMG4",
        "The value is issued outside AWS (Opik, Qdrant, Slack, API clients); its issuer puts the new one here.",
    )
