"""LLM stack: the endpoint and its scaling."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.constructs.llm.endpoint import LlmEndpoint
from infra.constructs.llm.metrics import LlmMetrics
from infra.constructs.llm.office_hours import keep_office_hours
from infra.constructs.llm.scaling import InstanceScaling, LlmScaling
from infra.names import Names
from infra.settings.deployment import DeploymentSettings


class LlmStack(cdk.Stack):
    """The LLM microservice. It exports nothing, so that it can be deleted and deployed again while the others stay."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: DeploymentSettings, env: cdk.Environment
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: LLM microservice")
        names = Names.of(settings)
        llm = settings.llm
        endpoint = LlmEndpoint(
            self,
            "Llm",
            settings=llm,
            metrics=LlmMetrics.of(settings),
            weights_bucket=llm.weights_bucket or names.weights_bucket(self.account, self.region),
            log_retention_days=settings.monitoring.log_retention_days,
        )
        cdk.CfnOutput(self, "EndpointName", value=endpoint.endpoint_name)
        if endpoint.component is not None and endpoint.component_name is not None:
            scaling = LlmScaling(
                self, "Scaling", component=endpoint.component, name=endpoint.component_name, settings=llm
            )
            if settings.guard.office_hours is not None:
                keep_office_hours(scaling.target, settings.guard.office_hours)
            cdk.CfnOutput(self, "InferenceComponentName", value=endpoint.component_name)
        else:
            InstanceScaling(self, "Scaling", endpoint=endpoint.endpoint, name=endpoint.endpoint_name, settings=llm)
        cdk.CfnOutput(self, "ModelId", value=settings.llm.model_id)
