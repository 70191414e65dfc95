"""Vectors stack: Qdrant hosted by the stage. It is kept when the others are deleted, where the data is to be kept."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.constructs.vectors.store import VectorStore
from infra.settings.deployment import DeploymentSettings
from infra.settings.retrieval import HostedVectors
from infra.stacks.network import NetworkStack


class VectorsStack(cdk.Stack):
    """The vector store in the first zone of the stage's network."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        hosted: HostedVectors,
        env: cdk.Environment,
        network: NetworkStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: vector store")
        self.store = VectorStore(
            self,
            "Store",
            settings=hosted,
            stage=settings.stage,
            metric_namespace=settings.evaluation.metric_namespace,
            vpc=network.vpc,
            subnet=network.vpc.select_subnets(subnet_type=network.task_subnets.subnet_type).subnets[0],
            is_public=network.task_subnets.subnet_type == ec2.SubnetType.PUBLIC,
            callers=network.service_group,
        )
        for name, value in {
            "VectorsApiKeySecretArn": self.store.api_key.secret_arn,
            "VectorsBackupBucket": self.store.backups.bucket.bucket_name,
            "VectorsCertificateParameter": self.store.certificate.parameter_name,
            "VectorsGroupName": self.store.machine.group.auto_scaling_group_name,
        }.items():
            cdk.CfnOutput(self, name, value=value)
