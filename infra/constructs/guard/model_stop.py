"""What a function of the cost limits needs to stop a stage's model: variables, and rights on that model alone."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.names import COPIES_DIMENSION, PROJECT, Names, served_component
from infra.settings.deployment import DeploymentSettings


def stop_variables(settings: DeploymentSettings) -> dict[str, str]:
    """Environment of `services.guard.settings.ExpireSettings`."""
    component = served_component(settings)
    return {
        "STAGE": settings.stage,
        "STACK_NAMES": Names.of(settings).stack("llm"),
        **({"COMPONENT_NAME": component} if component else {}),
    }


def allow_stop(role: iam.Role, settings: DeploymentSettings) -> None:
    """Allow parking the stage's model, where it can be parked, and deleting its stack."""
    _allow_deletion(role, Names.of(settings).stack("llm"))
    component = served_component(settings)
    if component:
        _allow_parking(role, component, settings.stage)


def _allow_deletion(role: iam.Role, stack: str) -> None:
    """Allow deleting one stack; CloudFormation does it with the role that the stack was deployed with."""
    stack_arn = cdk.Stack.of(role).format_arn(service="cloudformation", resource="stack", resource_name=f"{stack}/*")
    role.add_to_policy(
        iam.PolicyStatement(
            sid="DeleteTheLlmStack",
            actions=["cloudformation:DeleteStack", "cloudformation:DescribeStacks"],
            resources=[stack_arn],
        )
    )
    acknowledge(
        role,
        f"AwsSolutions-IAM5[Resource::{readable(role, stack_arn)}]",
        "A stack's ARN ends in an id that CloudFormation generates; the name before it is exact.",
    )


def _allow_parking(role: iam.Role, component: str, stage: str) -> None:
    """Allow taking a component's copies away and suspending its scaling.

    Application Auto Scaling also asks for the rights on what is scaled:
    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
    """
    stack = cdk.Stack.of(role)
    role.add_to_policy(
        iam.PolicyStatement(
            sid="TakeTheModelsCopies",
            actions=["sagemaker:DescribeInferenceComponent", "sagemaker:UpdateInferenceComponentRuntimeConfig"],
            resources=[stack.format_arn(service="sagemaker", resource="inference-component", resource_name=component)],
        )
    )
    targets = stack.format_arn(service="application-autoscaling", resource="scalable-target", resource_name="*")
    role.add_to_policy(
        iam.PolicyStatement(
            sid="SuspendTheModelsScaling",
            actions=["application-autoscaling:RegisterScalableTarget"],
            resources=[targets],
            conditions={
                "StringEquals": {
                    "aws:ResourceTag/project": PROJECT,
                    "aws:ResourceTag/stage": stage,
                    # The stage's ECS service is another scalable target with these tags.
                    "application-autoscaling:scalable-dimension": COPIES_DIMENSION,
                }
            },
        )
    )
    acknowledge(
        role,
        f"AwsSolutions-IAM5[Resource::{readable(role, targets)}]",
        "A scalable target's ARN is an id that Application Auto Scaling generates; tags and dimension name the one.",
    )
