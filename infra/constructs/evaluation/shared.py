"""Settings and resources that every function of the evaluation uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.evaluation.state_table import StateTable
from infra.constructs.functions.service_function import ServiceFunction
from infra.environment import opik_sdk_environment
from infra.settings.deployment import DeploymentSettings


@dataclass(frozen=True)
class Shared:
    """The stage's settings and the resources that the functions share."""

    settings: DeploymentSettings
    layer: lambda_.ILayerVersion
    opik_key: secretsmanager.ISecret
    state: StateTable

    @property
    def opik(self) -> dict[str, str]:
        """Environment of a function that works with the dataset of samples."""
        return {
            "STAGE": self.settings.stage,
            "DATASET_NAME": self.settings.evaluation.dataset,
            "OPIK_API_KEY_SECRET_ARN": self.opik_key.secret_arn,
            **opik_sdk_environment(self.settings),
        }

    def function(
        self,
        scope: Construct,
        construct_id: str,
        handler: str,
        description: str,
        environment: Mapping[str, str],
        timeout: cdk.Duration,
        *,
        asynchronous: bool = True,
    ) -> ServiceFunction:
        """A handler of `services.evaluation.handlers` with the stage's settings and the layer of dependencies."""
        return ServiceFunction(
            scope,
            construct_id,
            handler=f"services.evaluation.handlers.{handler}",
            description=description,
            settings=self.settings.evaluation,
            environment=environment,
            timeout=timeout,
            log_retention_days=self.settings.monitoring.log_retention_days,
            layers=[self.layer],
            asynchronous=asynchronous,
        )
