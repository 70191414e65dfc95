"""IAM permissions of each workflow: to assume the CDK's bootstrap roles, and for the calls that `twin` makes itself.

CloudFormation makes and removes resources with the bootstrap stack's execution role, so that no workflow needs a
permission to create anything but through a template. What a delete takes away itself (twin.delete.leftovers) is named
after a stage or carries its tags.
"""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.constructs.delivery.actions import (
    COPIES,
    COPIES_CHANGE,
    LISTS,
    LOG_READS,
    PREFLIGHT,
    SCALING,
    STACK_READS,
    TASK_LISTS,
    TASK_READS,
)
from infra.names import DELIVERY, PROJECT, bootstrap_parameter, stage_prefix
from infra.settings.delivery import Workflow
from infra.settings.deployment import DeploymentSettings

PREVIEWS = "pr-*"
ANY_STAGE = "*"
PREVIEW_IMAGES = "llm-twin/preview"
"""Repository for images of pull requests; apart, so that none can take the tag that a commit of the branch will get."""
BOOTSTRAP_ROLES = ("deploy", "file-publishing", "image-publishing", "lookup")


READS = (*LISTS, *PREFLIGHT, *STACK_READS, *LOG_READS, *TASK_READS, *TASK_LISTS, COPIES)
"""All that any role reads, besides values of secrets and parameters."""


class Permissions:
    """IAM statements of one account's workflows."""

    def __init__(self, stack: cdk.Stack, settings: DeploymentSettings) -> None:
        self._stack = stack
        self._settings = settings

    def of(self, workflow: Workflow) -> list[iam.PolicyStatement]:
        """Every statement of a workflow's role."""
        lasting = self._settings.delivery.stages
        if workflow == "preview":
            return [
                *self._cdk(),
                *self._images(PREVIEW_IMAGES),
                *self._stage((PREVIEWS,)),
                self._secrets((PREVIEWS,), write=True),
                self._invoke((PREVIEWS,)),
                self._preflight(),
                *self._finish((PREVIEWS,)),
                self._list(),
                *self._delete((PREVIEWS,)),
            ]
        if workflow == "deploy":
            return [
                *self._cdk(),
                *self._images(self._settings.rag.image_repository),
                *self._stage(lasting),
                self._secrets(lasting, write=True),
                self._invoke(lasting),
                *self._finish(lasting),
                self._last_good(),
                self._allow("WatchAlarms", ("cloudwatch:DescribeAlarms",), ("*",)),
                self._allow("FindStacks", ("cloudformation:ListStacks",), ("*",)),
                self._scaling(),
            ]
        if workflow == "teardown":
            stages = (PREVIEWS, *lasting)
            return [
                *self._cdk(),
                *self._stage(stages),
                self._list(),
                *self._delete(stages),
                self._forget_last_good(),
            ]
        return [*self._stage(lasting), self._secrets(lasting, write=False), self._invoke(lasting), self._scaling()]

    def ceiling(self) -> list[iam.PolicyStatement]:
        """Permissions boundary of every workflow's role: what any of them needs, on any stage.

        It names neither single stages nor statements, because a managed policy holds 6,144 characters only.
        """
        stages = (ANY_STAGE,)
        needed = [
            *self._cdk("*"),
            *self._images(self._settings.rag.image_repository, PREVIEW_IMAGES),
            self._secrets(stages, write=True),
            self._invoke(stages),
            self._last_good(),
            *self._ingest(stages),
            self._resume(stages),
            # Which CDK joins with the deletion of the same resources.
            self._allow("ScaleTheModel", (COPIES_CHANGE,), self._model(stages)),
            *self._delete(stages),
            self._forget_last_good(),
        ]
        # What only reads is on any resource here: the names of all of them would not fit.
        reads = self._allow("Read", READS, ("*",))
        ceiling = [reads, *(each for each in needed if not set(each.actions) <= set(READS))]
        for statement in ceiling:
            statement.sid = None
        return ceiling

    def _cdk(self, *kinds: str) -> list[iam.PolicyStatement]:
        """The CDK's roles: all that a deployment takes, or those of some kinds."""
        qualifier, place = self._settings.delivery.qualifier, f"{self._stack.account}-{self._stack.region}"
        names = [f"cdk-{qualifier}-{kind}-role-{place}" for kind in kinds or BOOTSTRAP_ROLES]
        roles = [self._arn("iam", "role", name, region="") for name in names]
        version = self._arn("ssm", "parameter", bootstrap_parameter(qualifier).removeprefix("/"))
        toolkit = self._arn("cloudformation", "stack", "CDKToolkit/*")
        return [
            self._allow("UseTheCdksRoles", ("sts:AssumeRole",), roles),
            self._allow("ReadTheBootstrapVersion", ("ssm:GetParameter",), (version,)),
            self._allow("SeeTheBootstrapStack", ("cloudformation:DescribeStacks",), (toolkit,)),
        ]

    def _stage(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        stacks = [self._arn("cloudformation", "stack", f"{stage_prefix(stage)}-*/*") for stage in stages]
        return [self._allow("ReadTheStagesStacks", ("cloudformation:DescribeStacks",), stacks)]

    def _secrets(self, stages: Sequence[str], *, write: bool) -> iam.PolicyStatement:
        # CloudFormation names a secret after its logical id only, so tags distinguish the stages.
        changes = ("secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue") if write else ()
        actions = ("secretsmanager:GetSecretValue", *changes)
        return self._allow("HandOutApiKeys", actions, (self._every_secret(),), _tagged(stages))

    def _finish(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """Calls of `twin deploy` and `twin ci ingest` beside the CDK: copies, reasons of failures, the task."""
        stacks = [self._arn("cloudformation", "stack", f"{stage_prefix(stage)}-*/*") for stage in stages]
        running = [arn for kind in ("service", "task") for arn in self._named("ecs", kind, stages)]
        return [
            self._allow("ReadWhatIsDeployed", STACK_READS, stacks),
            # Application Auto Scaling asks for the second where it resumes the model's scaling:
            # https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
            self._allow(
                "CountAndScaleTheModel",
                (COPIES, COPIES_CHANGE),
                self._named("sagemaker", "inference-component", stages),
            ),
            self._resume(stages),
            self._allow("ReadTheContainersLogs", LOG_READS, self._log_groups(stages)),
            self._allow("FindTasks", TASK_LISTS, ("*",)),
            self._allow("SeeTasks", TASK_READS, running),
            *self._ingest(stages),
        ]

    def _scaling(self) -> iam.PolicyStatement:
        return self._allow("SeeWhetherTheModelIsParked", (SCALING,), ("*",))

    def _resume(self, stages: Sequence[str]) -> iam.PolicyStatement:
        """To resume the scaling of a model that the guard has parked."""
        return self._allow(
            "ResumeTheModelsScaling",
            ("application-autoscaling:RegisterScalableTarget",),
            (self._arn("application-autoscaling", "scalable-target", "*"),),
            _tagged(stages),
        )

    def _ingest(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """To run the ingest's task, which is declared in the stack, and to stop it."""
        roles = [self._arn("iam", "role", f"{stage_prefix(stage)}-business-Ingest*", region="") for stage in stages]
        definitions = [
            self._arn("ecs", "task-definition", f"{stage_prefix(stage)}-business-ingest:*") for stage in stages
        ]
        only_to_tasks: dict[str, object] = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        return [
            self._allow("RunTheIngest", ("ecs:RunTask",), definitions),
            # A task that takes over the tags of its definition is tagged by whoever runs it:
            # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
            self._allow("StopAndTagTheIngest", ("ecs:StopTask", "ecs:TagResource"), self._named("ecs", "task", stages)),
            self._allow("GiveTheIngestItsRoles", ("iam:PassRole",), roles, only_to_tasks),
        ]

    def _invoke(self, stages: Sequence[str]) -> iam.PolicyStatement:
        names = [self._colon_arn("lambda", "function", f"{stage_prefix(stage)}-evaluation-*") for stage in stages]
        return self._allow("RunTheEvaluation", ("lambda:InvokeFunction",), names)

    def _images(self, *names: str) -> list[iam.PolicyStatement]:
        repositories = [self._arn("ecr", "repository", name) for name in names]
        push = (
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:DescribeImages",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        )
        return [
            self._allow("LogInToTheRegistry", ("ecr:GetAuthorizationToken",), ("*",)),
            self._allow("PushTheImage", push, repositories),
        ]

    def _last_good(self) -> iam.PolicyStatement:
        actions = ("ssm:GetParameter", "ssm:PutParameter")
        return self._allow("RememberTheLastGoodRelease", actions, self._releases())

    def _forget_last_good(self) -> iam.PolicyStatement:
        return self._allow("ForgetTheLastGoodRelease", ("ssm:DeleteParameter",), self._releases())

    def _releases(self) -> list[str]:
        return [self._arn("ssm", "parameter", f"{DELIVERY}/{stage}/*") for stage in self._settings.delivery.stages]

    def _preflight(self) -> iam.PolicyStatement:
        return self._allow("LookBeforeTheDeployment", PREFLIGHT, ("*",))

    def _list(self) -> iam.PolicyStatement:
        return self._allow("ProveThatNothingIsLeft", LISTS, ("*",))

    def _delete(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """What `twin delete` does itself, besides listing."""
        return [
            self._delete_stacks(stages),
            self._delete_endpoints(stages),
            *self._delete_compute(stages),
            *self._delete_data(stages),
        ]

    def _delete_stacks(self, stages: Sequence[str]) -> iam.PolicyStatement:
        actions = (
            "cloudformation:DeleteStack",
            "cloudformation:DescribeStackEvents",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        )
        stacks = [self._arn("cloudformation", "stack", f"{stage_prefix(stage)}-*/*") for stage in stages]
        return self._allow("DeleteTheStagesStacks", actions, stacks)

    def _delete_endpoints(self, stages: Sequence[str]) -> iam.PolicyStatement:
        actions = (
            "sagemaker:DeleteEndpoint",
            "sagemaker:DeleteEndpointConfig",
            "sagemaker:DeleteInferenceComponent",
            "sagemaker:DeleteModel",
        )
        return self._allow("DeleteLeftEndpoints", actions, self._model(stages))

    def _delete_compute(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """Scaling, task definitions, network interfaces and disks."""
        tagged = _tagged(stages)
        return [
            self._allow(
                "ForgetLeftScaling",
                ("application-autoscaling:DeregisterScalableTarget",),
                (self._arn("application-autoscaling", "scalable-target", "*"),),
                tagged,
            ),
            # ECS has no resource-level permission for the first, see its table of actions:
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
            self._allow("DeregisterLeftTaskDefinitions", ("ecs:DeregisterTaskDefinition",), ("*",)),
            self._allow(
                "DeleteLeftTaskDefinitions",
                ("ecs:DeleteTaskDefinitions",),
                self._named("ecs", "task-definition", stages),
            ),
            self._allow(
                "DeleteLeftInterfacesAndDisks",
                ("ec2:DeleteNetworkInterface", "ec2:DeleteSnapshot", "ec2:DeleteVolume"),
                (
                    self._arn("ec2", "network-interface", "*"),
                    # Its ARN has no account.
                    self._stack.format_arn(service="ec2", resource="snapshot", resource_name="*", account=""),
                    self._arn("ec2", "volume", "*"),
                ),
                tagged,
            ),
        ]

    def _delete_data(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """Logs, buckets, images and secrets."""
        buckets = [f"arn:{self._stack.partition}:s3:::{stage_prefix(stage)}-*" for stage in stages]
        return [
            self._allow("DeleteLeftLogs", ("logs:DeleteLogGroup",), self._log_groups(stages)),
            self._allow(
                "EmptyAndDeleteLeftBuckets",
                (
                    "s3:AbortMultipartUpload",
                    "s3:DeleteBucket",
                    "s3:DeleteObject",
                    "s3:DeleteObjectVersion",
                    "s3:GetBucketTagging",
                    "s3:ListBucketMultipartUploads",
                    "s3:ListBucketVersions",
                ),
                [*buckets, *(f"{bucket}/*" for bucket in buckets)],
            ),
            self._allow(
                "DeleteLeftImages",
                ("ecr:BatchDeleteImage", "ecr:DeleteRepository", "ecr:ListImages"),
                self._named("ecr", "repository", stages),
            ),
            self._allow(
                "DeleteLeftSecrets",
                ("secretsmanager:DeleteSecret",),
                (self._every_secret(),),
                _tagged(stages),
            ),
        ]

    def _model(self, stages: Sequence[str]) -> list[str]:
        kinds = ("endpoint", "endpoint-config", "inference-component", "model")
        return [arn for kind in kinds for arn in self._named("sagemaker", kind, stages)]

    def _log_groups(self, stages: Sequence[str]) -> list[str]:
        # AWS puts its own path before the name of a function, an endpoint or a state machine.
        return [self._colon_arn("logs", "log-group", f"*{stage_prefix(stage)}-*") for stage in stages]

    def _named(self, service: str, resource: str, stages: Sequence[str]) -> list[str]:
        """ARNs of what is named after a stage."""
        return [self._arn(service, resource, f"{stage_prefix(stage)}-*") for stage in stages]

    def _arn(self, service: str, resource: str, name: str, region: str | None = None) -> str:
        return self._stack.format_arn(service=service, resource=resource, resource_name=name, region=region)

    def _colon_arn(self, service: str, resource: str, name: str) -> str:
        return self._stack.format_arn(
            service=service, resource=resource, resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )

    def _every_secret(self) -> str:
        return self._stack.format_arn(
            service="secretsmanager", resource="secret:*", arn_format=cdk.ArnFormat.NO_RESOURCE_NAME
        )

    def _allow(
        self, sid: str, actions: Sequence[str], resources: Sequence[str], conditions: dict[str, object] | None = None
    ) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid=sid, actions=list(actions), resources=list(resources), conditions=conditions or {}
        )


def _tagged(stages: Sequence[str]) -> dict[str, object]:
    return {
        "StringEquals": {"aws:ResourceTag/project": PROJECT},
        "StringLike": {"aws:ResourceTag/stage": list(stages)},
    }
