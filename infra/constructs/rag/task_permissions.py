"""Permissions of the service's tasks: call the models, send samples, read keys that change."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs

from infra.names import Names, served_component
from infra.settings.deployment import DeploymentSettings


def grant(
    task: ecs.TaskDefinition,
    settings: DeploymentSettings,
    *,
    samples: sqs.IQueue,
    keys: Sequence[secretsmanager.ISecret],
) -> None:
    """Add to the task's role the permissions that the settings require.

    Args:
        task: of the service.
        settings: of the stage.
        samples: queue of sampled answers.
        keys: secrets that are read again while the service runs.
    """
    stack = cdk.Stack.of(task)
    reranker = settings.retrieval.reranker_endpoint_name
    statements = [
        _invokes(stack, settings),
        *([_reranks(stack, reranker)] if reranker else []),
        iam.PolicyStatement(
            sid="HandOverSamples",
            actions=["sqs:SendMessage", "sqs:GetQueueAttributes"],
            resources=[samples.queue_arn],
        ),
        iam.PolicyStatement(
            sid="ReadKeysThatChange",
            actions=["secretsmanager:GetSecretValue"],
            resources=[key.secret_arn for key in keys],
        ),
    ]
    for statement in statements:
        task.add_to_task_role_policy(statement)


def _invokes(stack: cdk.Stack, settings: DeploymentSettings) -> iam.PolicyStatement:
    named = (("endpoint", Names.of(settings).endpoint), ("inference-component", served_component(settings)))
    return iam.PolicyStatement(
        sid="AskTheModel",
        actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
        resources=[
            stack.format_arn(service="sagemaker", resource=kind, resource_name=name) for kind, name in named if name
        ],
    )


def _reranks(stack: cdk.Stack, endpoint_name: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="AskTheReranker",
        actions=["sagemaker:InvokeEndpoint"],
        resources=[stack.format_arn(service="sagemaker", resource="endpoint", resource_name=endpoint_name)],
    )
