"""Access of judging functions to their judge: environment, permissions, and a secret for the key."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.constructs.shared.secret import placeholder_secret
from infra.constructs.shared.statements import reads
from infra.names import Names, served_component
from infra.settings.deployment import DeploymentSettings
from infra.settings.judge import PROFILE


class JudgeAccess(Construct):
    """Access to one judge, for several functions."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: DeploymentSettings) -> None:
        super().__init__(scope, construct_id)
        judge, names = settings.judge, Names.of(settings)
        self._judge = judge
        own = not judge.endpoint_name
        self._endpoint = judge.endpoint_name or names.endpoint
        self._component = served_component(settings) if own else judge.inference_component_name
        self.key = placeholder_secret(self, "ApiKey", "API key of the judge") if judge.provider == "openai" else None

    @property
    def environment(self) -> dict[str, str]:
        """Names as in `services.evaluation.judges.settings`; those that the provider does not use are absent."""
        judge = self._judge
        if judge.provider == "none":
            return {}
        found = {
            "JUDGE_PROVIDER": judge.provider,
            "JUDGE_MODEL": judge.model,
            "JUDGE_URL": judge.url,
            "JUDGE_INPUT_PRICE": f"{judge.input_price:g}",
            "JUDGE_OUTPUT_PRICE": f"{judge.output_price:g}",
            "JUDGE_MONTHLY_CAP_USD": f"{judge.monthly_cap_usd:g}",
            "JUDGE_CONCURRENCY": str(judge.concurrency),
            "JUDGE_API_KEY_SECRET_ARN": self.key.secret_arn if self.key else None,
        }
        if judge.provider == "sagemaker":
            found |= {"JUDGE_ENDPOINT_NAME": self._endpoint, "JUDGE_INFERENCE_COMPONENT_NAME": self._component}
        return {name: value for name, value in found.items() if value}

    def grant(self, role: iam.Role) -> None:
        """Allow a role to call the judge."""
        if self.key:
            role.add_to_policy(reads(self.key))
        if self._judge.provider == "sagemaker":
            stack = cdk.Stack.of(self)
            resources = [stack.format_arn(service="sagemaker", resource="endpoint", resource_name=self._endpoint)]
            if self._component:
                resources.append(
                    stack.format_arn(service="sagemaker", resource="inference-component", resource_name=self._component)
                )
            role.add_to_policy(iam.PolicyStatement(actions=["sagemaker:InvokeEndpoint"], resources=resources))
        if self._judge.provider == "bedrock":
            self._grant_bedrock(role)

    def _grant_bedrock(self, role: iam.Role) -> None:
        # Converse needs InvokeModel: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
        stack, model = cdk.Stack.of(self), self._judge.model or ""
        profile = PROFILE.match(model)
        region = "*" if profile else stack.region
        foundation = (
            f"arn:{stack.partition}:bedrock:{region}::foundation-model/{profile['model'] if profile else model}"
        )
        resources = [foundation]
        if profile:
            resources.append(stack.format_arn(service="bedrock", resource="inference-profile", resource_name=model))
            acknowledge(
                role,
                f"AwsSolutions-IAM5[Resource::{readable(stack, foundation)}]",
                "An inference profile sends a request to any of its regions.",
            )
        role.add_to_policy(iam.PolicyStatement(actions=["bedrock:InvokeModel"], resources=resources))
