"""Business stack: the RAG service, its secrets and its alarms."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.acknowledge import acknowledge, readable
from infra.constructs.alarms import Alarms
from infra.constructs.fargate_api import FargateApi
from infra.constructs.secret import empty_key_list, placeholder_secret
from infra.constructs.vector_alarms import VectorAlarms
from infra.constructs.vector_store import VectorStore
from infra.environment import opik_environment
from infra.names import Names, served_component
from infra.settings import DeploymentSettings
from infra.settings_groups.retrieval import RetrievalSettings
from infra.stacks.network import NetworkStack


class BusinessStack(cdk.Stack):
    """The business microservice."""

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
        super().__init__(scope, construct_id, env=env, description="LLM twin: business microservice")
        names = Names.of(settings)
        api_keys = empty_key_list(self, "ApiKeys", "Hashed API keys of the service's callers")
        qdrant_key = vectors.api_key if vectors else placeholder_secret(self, "QdrantApiKey", "API key of Qdrant")
        api = FargateApi(
            self,
            "Api",
            settings=settings.business,
            release=settings.release,
            vpc=network.vpc,
            load_balancer_group=network.load_balancer_group,
            service_group=network.service_group,
            load_balancer_subnets=network.load_balancer_subnets,
            task_subnets=network.task_subnets,
            environment={
                **_environment(settings),
                "QDRANT_URL": vectors.url if vectors else str(settings.vectors.url),
                "SAMPLES_QUEUE_URL": samples.queue_url,
                "API_KEYS_SECRET_ARN": api_keys.secret_arn,
                "QDRANT_API_KEY_SECRET_ARN": qdrant_key.secret_arn,
                "OPIK_API_KEY_SECRET_ARN": opik_key.secret_arn,
            },
            secrets={
                "QDRANT_API_KEY": ecs.Secret.from_secrets_manager(qdrant_key),
                **({"QDRANT_CA_PEM": ecs.Secret.from_ssm_parameter(vectors.certificate)} if vectors else {}),
                "OPIK_API_KEY": ecs.Secret.from_secrets_manager(opik_key),
                **self._sentry(settings.monitoring.sentry_dsn_secret_arn),
            },
            log_retention_days=settings.monitoring.log_retention_days,
            namespace=settings.evaluation.metric_namespace,
            stage=settings.stage,
        )
        api.task.add_to_task_role_policy(self._invokes(names, served_component(settings)))
        if settings.retrieval.reranker_endpoint_name:
            api.task.add_to_task_role_policy(self._reranks(settings.retrieval.reranker_endpoint_name))
        api.task.add_to_task_role_policy(
            iam.PolicyStatement(
                sid="HandOverSamples",
                actions=["sqs:SendMessage", "sqs:GetQueueAttributes"],
                resources=[samples.queue_arn],
            )
        )
        api.task.add_to_task_role_policy(
            iam.PolicyStatement(
                sid="ReadKeysThatChange",
                actions=["secretsmanager:GetSecretValue"],
                resources=[key.secret_arn for key in (api_keys, qdrant_key, opik_key)],
            )
        )
        if settings.business.documents_bucket:
            self._read_documents(api, settings.business.documents_bucket)
        self._alarms(api, alerts)
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
            "OpikProjectName": settings.monitoring.project,
        }.items():
            cdk.CfnOutput(self, name, value=value)

    def _invokes(self, names: Names, component: str | None) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="AskTheModel",
            actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            resources=[
                self.format_arn(service="sagemaker", resource=kind, resource_name=name)
                for kind, name in (("endpoint", names.endpoint), ("inference-component", component))
                if name
            ],
        )

    def _sentry(self, secret_arn: str | None) -> dict[str, ecs.Secret]:
        if secret_arn is None:
            return {}
        dsn = secretsmanager.Secret.from_secret_complete_arn(self, "SentryDsn", secret_arn)
        return {"SENTRY_DSN": ecs.Secret.from_secrets_manager(dsn)}

    def _read_documents(self, api: FargateApi, bucket: str) -> None:
        """Grant what an ingest in the service's place needs of the bucket with the documents."""
        arn = f"arn:{self.partition}:s3:::{bucket}"
        objects = f"{arn}/*"
        for sid, action, resource in (
            ("ListDocuments", "s3:ListBucket", arn),
            ("ReadDocuments", "s3:GetObject", objects),
        ):
            api.task.add_to_task_role_policy(iam.PolicyStatement(sid=sid, actions=[action], resources=[resource]))
        acknowledge(
            api.task,
            f"AwsSolutions-IAM5[Resource::{readable(self, objects)}]",
            "Reading is granted on all objects of the one bucket that the stage names.",
        )

    def _reranks(self, endpoint_name: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="AskTheReranker",
            actions=["sagemaker:InvokeEndpoint"],
            resources=[self.format_arn(service="sagemaker", resource="endpoint", resource_name=endpoint_name)],
        )

    def _alarms(self, api: FargateApi, alerts: sns.ITopic) -> None:
        alarms = Alarms(self, "Alarms", topic=alerts)
        minute = cdk.Duration.minutes(1)
        alarms.unhealthy(
            "UnhealthyTasks",
            api.targets.metrics.unhealthy_host_count(period=minute, statistic="Maximum"),
            "Tasks of the business service fail their health check.",
        )
        alarms.unhealthy(
            "ServerErrors",
            api.targets.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=minute, statistic="Sum"),
            "The business service answers with server errors.",
        )
        # A release whose tasks start and then fail is taken back as well as one whose tasks do not start.
        api.service.enable_deployment_alarms(
            [alarm.alarm_name for alarm in alarms.raised], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
        )


# A caller gets our own answer instead of the load balancer's 504.
SILENCE_MARGIN_SECONDS = 10


def _environment(settings: DeploymentSettings) -> dict[str, str]:
    names, component = Names.of(settings), served_component(settings)
    return {
        "STAGE": settings.stage,
        "RELEASE": settings.release,
        "LLM_ENDPOINT_NAME": names.endpoint,
        **({"LLM_INFERENCE_COMPONENT_NAME": component} if component else {}),
        "LLM_MODEL_ID": settings.llm.model_id,
        "LLM_TIMEOUT_SECONDS": f"{settings.llm.request_timeout_seconds:g}",
        "LLM_MAX_OUTPUT_TOKENS": str(settings.llm.max_output_tokens),
        "LLM_TEMPERATURE": f"{settings.llm.temperature:g}",
        "EMBEDDING_MODEL_DIR": settings.embedding.model_dir,
        "RETRIEVAL_TOP_K": str(settings.business.retrieval_top_k),
        "DRAIN_SECONDS": str(settings.business.drain_seconds),
        "WAKE_HOLD_SILENT_SECONDS": str(settings.business.idle_timeout_seconds - SILENCE_MARGIN_SECONDS),
        "SAMPLE_RATE": f"{settings.business.sample_rate:g}",
        "METRIC_NAMESPACE": settings.evaluation.metric_namespace,
        "TRACES_PER_SECOND": f"{settings.monitoring.traces_per_second:g}",
        "TRACE_CONTENT": str(settings.monitoring.trace_content).lower(),
        "ANONYMISE": json.dumps(settings.monitoring.anonymise),
        "ANONYMISE_PATTERNS": json.dumps(settings.monitoring.anonymise_patterns, sort_keys=True),
        **_retrieval(settings.retrieval),
        **opik_environment(settings),
    }


def _retrieval(settings: RetrievalSettings) -> dict[str, str]:
    return {
        "TENANT": settings.tenant,
        "RETRIEVAL_CANDIDATES": str(settings.candidates),
        "QUERY_UNDERSTANDING": settings.query_understanding,
        "RERANKER": settings.reranker,
        **{name.upper(): value for name, value in settings.reranker_settings.items()},
    }
