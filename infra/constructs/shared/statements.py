"""IAM statements that several roles share, each on one named resource."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager


def reads(secret: secretsmanager.ISecret) -> iam.PolicyStatement:
    """Permission to read a secret's value."""
    return iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[secret.secret_arn])


def calls(function: lambda_.IFunction) -> iam.PolicyStatement:
    """Permission to call a function."""
    return iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])
