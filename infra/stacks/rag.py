"""The stack `business`: the RAG service, its secrets and its alarms."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.monitoring.metrics import StageMetrics
from infra.constructs.rag import task_permissions
from infra.constructs.rag.alarms import ApiAlarms
from infra.constructs.rag.documents_bucket import DocumentsBucket
from infra.constructs.rag.environment import service_environment
from infra.constructs.rag.fargate_api import FargateApi
from infra.constructs.rag.ingest_task import IngestTask
from infra.constructs.shared.secret import empty_key_list, placeholder_secret
from infra.constructs.vectors.alarms import VectorAlarms
from infra.constructs.vectors.store import VectorStore
from infra.settings.deployment import DeploymentSettings
from infra.stacks.network import NetworkStack


class RagStack(cdk.Stack):
    """The RAG service."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        env: cdk.Environment,
        network: NetworkStack,
        vectors: VectorStore | None,
        samples: sqs.IQueue,
        opik_key: secretsmanager.ISecret,
        alerts: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: RAG service")
        api_keys = empty_key_list(self, "ApiKeys", "Hashed API keys of the service's callers")
        if vectors:
            qdrant_key, write_key = vectors.read_key, vectors.api_key
        else:
            # The service's first: a stage that had one key for everything goes on with it until it is replaced.
            qdrant_key = placeholder_secret(self, "QdrantApiKey", "API key of Qdrant")
            write_key = placeholder_secret(self, "QdrantWriteKey", "Write key of Qdrant")
        store = {"QDRANT_URL": vectors.url if vectors else str(settings.vectors.url)}
        certificate = {"QDRANT_CA_PEM": ecs.Secret.from_ssm_parameter(vectors.certificate)} if vectors else {}
        api = FargateApi(
            self,
            "Api",
            settings=settings,
            placement=network.api_placement,
            environment={
                **service_environment(settings),
                **store,
                "SAMPLES_QUEUE_URL": samples.queue_url,
                "API_KEYS_SECRET_ARN": api_keys.secret_arn,
                "QDRANT_API_KEY_SECRET_ARN": qdrant_key.secret_arn,
                "OPIK_API_KEY_SECRET_ARN": opik_key.secret_arn,
            },
            secrets={
                "QDRANT_API_KEY": ecs.Secret.from_secrets_manager(qdrant_key),
                **certificate,
                "OPIK_API_KEY": ecs.Secret.from_secrets_manager(opik_key),
                **self._sentry(settings.monitoring.sentry_dsn_secret_arn),
            },
        )
        task_permissions.grant(api.task, settings, samples=samples, keys=(api_keys, qdrant_key, opik_key))
        service = StageMetrics(settings.evaluation.metric_namespace, settings.stage)
        documents = DocumentsBucket(self, "Documents").bucket.bucket_name if settings.keeps_documents else None
        if documents:
            cdk.CfnOutput(self, "DocumentsBucket", value=documents)
        if bucket := documents or settings.rag.documents_bucket:
            ingest = IngestTask(
                self,
                "Ingest",
                settings=settings,
                bucket=bucket,
                write_key=write_key,
                environment=store,
                secrets=certificate,
                log_group=api.logs,
            )
            cdk.CfnOutput(self, "IngestTaskDefinitionArn", value=ingest.task.task_definition_arn)
        ApiAlarms(self, "Alarms", topic=alerts, api=api, service=service)
        if vectors:
            VectorAlarms(
                self,
                "VectorAlarms",
                topic=alerts,
                group_name=vectors.machine.group.auto_scaling_group_name,
                namespace=settings.evaluation.metric_namespace,
                stage=settings.stage,
            )
        for name, value in {
            "ApiUrl": api.url,
            "ApiHost": api.host,
            "LoadBalancerName": api.load_balancer.load_balancer_name,
            "ClusterName": api.cluster.cluster_name,
            "ServiceName": api.service.service_name,
            "ApiKeysSecretArn": api_keys.secret_arn,
            "QdrantApiKeySecretArn": qdrant_key.secret_arn,
            "QdrantWriteKeySecretArn": write_key.secret_arn,
            "OpikProjectName": settings.monitoring.project,
        }.items():
            cdk.CfnOutput(self, name, value=value)

    def _sentry(self, secret_arn: str | None) -> dict[str, ecs.Secret]:
        if secret_arn is None:
            return {}
        dsn = secretsmanager.Secret.from_secret_complete_arn(self, "SentryDsn", secret_arn)
        return {"SENTRY_DSN": ecs.Secret.from_secrets_manager(dsn)}
