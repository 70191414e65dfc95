"""The task that `twin ingest s3://...` starts: it reads the bucket of documents and holds the store's write key."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.rag.container import add_program, image_task
from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.constructs.shared.statements import reads
from infra.settings.deployment import DeploymentSettings

COMMAND = ("python", "-m", "services.rag.ingest")
CONTAINER = "ingest"


class IngestTask(Construct):
    """A task definition apart from the service's, so that the service holds no key that writes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        bucket: str,
        write_key: secretsmanager.ISecret,
        environment: Mapping[str, str],
        secrets: Mapping[str, ecs.Secret],
        log_group: logs.ILogGroup,
    ) -> None:
        """Declare the task.

        Args:
            scope: parent.
            construct_id: of this construct.
            settings: of the stage.
            bucket: name of the bucket of documents.
            write_key: the vector store's.
            environment: variables of the store's address.
            secrets: further variables from other stores, like its certificate.
            log_group: where its output goes.
        """
        super().__init__(scope, construct_id)
        self.task = image_task(self, "Task", settings, CONTAINER)
        add_program(
            self.task,
            CONTAINER,
            settings,
            command=[*COMMAND, f"s3://{bucket}"],
            environment={
                **environment,
                "EMBEDDING_MODEL_DIR": settings.embedding.model_dir,
                "TENANT": settings.retrieval.tenant,
                "QDRANT_API_KEY_SECRET_ARN": write_key.secret_arn,
            },
            secrets={**secrets, "QDRANT_API_KEY": ecs.Secret.from_secrets_manager(write_key)},
            log_group=log_group,
        )
        self.task.add_to_task_role_policy(reads(write_key))
        self._read_documents(bucket)

    def _read_documents(self, bucket: str) -> None:
        stack = cdk.Stack.of(self)
        arn = f"arn:{stack.partition}:s3:::{bucket}"
        objects = f"{arn}/*"
        for sid, action, resource in (
            ("ListDocuments", "s3:ListBucket", arn),
            ("ReadDocuments", "s3:GetObject", objects),
        ):
            self.task.add_to_task_role_policy(iam.PolicyStatement(sid=sid, actions=[action], resources=[resource]))
        acknowledge(
            self.task,
            f"AwsSolutions-IAM5[Resource::{readable(stack, objects)}]",
            "Reading is granted on all objects of the one bucket that the stage names.",
        )
