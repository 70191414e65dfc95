"""LLM stack: the endpoint and its scaling."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.constructs.llm_endpoint import LlmEndpoint
from infra.constructs.llm_scaling import LlmScaling
from infra.names import Names
from infra.settings import DeploymentSettings


class LlmStack(cdk.Stack):
    """The LLM microservice. It exports nothing, so that it may go and come back under the others."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: DeploymentSettings, env: cdk.Environment
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: LLM microservice")
        names = Names.of(settings)
        endpoint = LlmEndpoint(
            self,
            "Llm",
            settings=settings.llm,
            endpoint_name=names.endpoint,
            component_name=names.inference_component,
            log_retention_days=settings.monitoring.log_retention_days,
        )
        LlmScaling(self, "Scaling", endpoint=endpoint, settings=settings.llm)
        cdk.CfnOutput(self, "EndpointName", value=endpoint.endpoint_name)
        cdk.CfnOutput(self, "InferenceComponentName", value=endpoint.component_name)
        cdk.CfnOutput(self, "ModelId", value=settings.llm.model_id)
