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
    IMAGE,
    LISTS,
    LOG_READS,
    PREFLIGHT,
    SCALING,
    STACK_READS,
    SUBSCRIPTIONS,
    TASK_LISTS,
    TASK_READS,
)
from infra.constructs.delivery.arns import Arns, allow, tagged
from infra.constructs.delivery.deletion import deletion
from infra.names import DELIVERY, bootstrap_parameter, stage_prefix
from infra.settings.delivery import Workflow
from infra.settings.deployment import DeploymentSettings

PREVIEWS = "pr-*"
ANY_STAGE = "*"
PREVIEW_IMAGES = "llm-twin/preview"
"""Repository for images of pull requests; apart, so that none can take the tag that a commit of the branch will get."""
BOOTSTRAP_ROLES = ("deploy", "file-publishing", "image-publishing", "lookup")


READS = (*LISTS, *PREFLIGHT, *STACK_READS, *LOG_READS, *TASK_READS, *TASK_LISTS, COPIES, SUBSCRIPTIONS, IMAGE)
"""All that any role reads, besides values of secrets and parameters."""


class Permissions:
    """IAM statements of one account's workflows."""

    def __init__(self, stack: cdk.Stack, settings: DeploymentSettings) -> None:
        self._stack = stack
        self._arns = Arns(stack)
        self._settings = settings

    def of(self, workflow: Workflow) -> list[iam.PolicyStatement]:
        """Every statement of a workflow's role."""
        lasting = self._settings.delivery.stages
        if workflow == "preview":
            # The list reads every stack, the CDK's own as well.
            return [
                *self._cdk(),
                *self._images(PREVIEW_IMAGES),
                self._secrets((PREVIEWS,)),
                self._invoke((PREVIEWS,)),
                *self._preflight((PREVIEWS,)),
                *self._finish((PREVIEWS,)),
                self._list(),
                *deletion(self._arns, (PREVIEWS,)),
            ]
        if workflow == "deploy":
            return [
                *self._cdk(),
                self._bootstrapped(),
                *self._images(self._settings.rag.image_repository),
                *self._stage(lasting),
                self._secrets(lasting),
                self._invoke(lasting),
                *self._finish(lasting),
                self._last_good(),
                allow("WatchAlarms", ("cloudwatch:DescribeAlarms",), ("*",)),
                allow("FindStacks", ("cloudformation:ListStacks",), ("*",)),
                self._scaling(),
            ]
        if workflow == "teardown":
            stages = (PREVIEWS, *lasting)
            return [
                *self._cdk(),
                self._list(),
                *deletion(self._arns, stages),
                # The role of previews may do both for the ingest.
                allow("FindTasks", ("ecs:ListTasks",), ("*",)),
                allow("StopTasks", ("ecs:StopTask",), self._arns.named("ecs", "task", stages)),
                self._forget_last_good(),
            ]
        return [*self._stage(lasting), self._invoke(lasting), self._scaling()]

    def ceiling(self) -> list[iam.PolicyStatement]:
        """Permissions boundary of every workflow's role: what any of them needs, on any stage.

        It names neither single stages nor statements, because a managed policy holds 6,144 characters only.
        """
        stages = (ANY_STAGE,)
        needed = [
            *self._cdk("*"),
            *self._images(self._settings.rag.image_repository, PREVIEW_IMAGES),
            self._secrets(stages),
            self._invoke(stages),
            self._last_good(),
            *self._ingest(stages),
            self._resume(stages),
            # Which CDK joins with the deletion of the same resources.
            allow("ScaleTheModel", (COPIES_CHANGE,), self._arns.model(stages)),
            *deletion(self._arns, stages),
            self._forget_last_good(),
        ]
        # What only reads is on any resource here: the names of all of them would not fit.
        reads = allow("Read", READS, ("*",))
        ceiling = [reads, *(each for each in needed if not set(each.actions) <= set(READS))]
        for statement in ceiling:
            statement.sid = None
        return ceiling

    def _cdk(self, *kinds: str) -> list[iam.PolicyStatement]:
        """The CDK's roles: all that a deployment takes, or those of some kinds."""
        qualifier, place = self._settings.delivery.qualifier, f"{self._stack.account}-{self._stack.region}"
        names = [f"cdk-{qualifier}-{kind}-role-{place}" for kind in kinds or BOOTSTRAP_ROLES]
        roles = [self._arns.of("iam", "role", name, region="") for name in names]
        version = self._arns.of("ssm", "parameter", bootstrap_parameter(qualifier).removeprefix("/"))
        return [
            allow("UseTheCdksRoles", ("sts:AssumeRole",), roles),
            allow("ReadTheBootstrapVersion", ("ssm:GetParameter",), (version,)),
        ]

    def _bootstrapped(self) -> iam.PolicyStatement:
        toolkit = self._arns.of("cloudformation", "stack", "CDKToolkit/*")
        return allow("SeeTheBootstrapStack", ("cloudformation:DescribeStacks",), (toolkit,))

    def _stage(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        stacks = self._arns.stacks(stages)
        return [allow("ReadTheStagesStacks", ("cloudformation:DescribeStacks",), stacks)]

    def _secrets(self, stages: Sequence[str]) -> iam.PolicyStatement:
        # CloudFormation names a secret after its logical id only, so tags distinguish the stages.
        actions = tuple(f"secretsmanager:{verb}" for verb in ("GetSecretValue", "DescribeSecret", "PutSecretValue"))
        return allow("HandOutApiKeys", actions, (self._arns.every_secret(),), tagged(stages))

    def _finish(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """Calls of `twin deploy` and `twin ci ingest` beside the CDK: copies, reasons of failures, the task."""
        stacks = self._arns.stacks(stages)
        running = [arn for kind in ("service", "task") for arn in self._arns.named("ecs", kind, stages)]
        return [
            allow("ReadWhatIsDeployed", STACK_READS, stacks),
            # Application Auto Scaling asks for the second where it resumes the model's scaling:
            # https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
            allow(
                "CountAndScaleTheModel",
                (COPIES, COPIES_CHANGE),
                self._arns.named("sagemaker", "inference-component", stages),
            ),
            self._resume(stages),
            allow("ReadTheContainersLogs", LOG_READS, self._arns.log_groups(stages)),
            allow("FindTasks", TASK_LISTS, ("*",)),
            allow("SeeTasks", TASK_READS, running),
            *self._ingest(stages),
        ]

    def _scaling(self) -> iam.PolicyStatement:
        return allow("SeeWhetherTheModelIsParked", (SCALING,), ("*",))

    def _resume(self, stages: Sequence[str]) -> iam.PolicyStatement:
        """To resume the scaling of a model that the guard has parked."""
        return allow(
            "ResumeTheModelsScaling",
            ("application-autoscaling:RegisterScalableTarget",),
            (self._arns.of("application-autoscaling", "scalable-target", "*"),),
            tagged(stages),
        )

    def _ingest(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """To run the ingest's task, which is declared in the stack, and to stop it."""
        roles = [self._arns.of("iam", "role", f"{stage_prefix(stage)}-business-Ingest*", region="") for stage in stages]
        definitions = [
            self._arns.of("ecs", "task-definition", f"{stage_prefix(stage)}-business-ingest:*") for stage in stages
        ]
        only_to_tasks: dict[str, object] = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        return [
            allow("RunTheIngest", ("ecs:RunTask",), definitions),
            # A task that takes over the tags of its definition is tagged by the role that runs it:
            # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
            allow("StopAndTagTheIngest", ("ecs:StopTask", "ecs:TagResource"), self._arns.named("ecs", "task", stages)),
            allow("GiveTheIngestItsRoles", ("iam:PassRole",), roles, only_to_tasks),
        ]

    def _invoke(self, stages: Sequence[str]) -> iam.PolicyStatement:
        names = [self._arns.colon("lambda", "function", f"{stage_prefix(stage)}-evaluation-*") for stage in stages]
        return allow("RunTheEvaluation", ("lambda:InvokeFunction",), names)

    def _images(self, *names: str) -> list[iam.PolicyStatement]:
        repositories = [self._arns.of("ecr", "repository", name) for name in names]
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
            allow("LogInToTheRegistry", ("ecr:GetAuthorizationToken",), ("*",)),
            allow("PushTheImage", push, repositories),
        ]

    def _last_good(self) -> iam.PolicyStatement:
        actions = ("ssm:GetParameter", "ssm:PutParameter")
        return allow("RememberTheLastGoodRelease", actions, self._releases())

    def _forget_last_good(self) -> iam.PolicyStatement:
        return allow("ForgetTheLastGoodRelease", ("ssm:DeleteParameter",), self._releases())

    def _releases(self) -> list[str]:
        return [self._arns.of("ssm", "parameter", f"{DELIVERY}/{stage}/*") for stage in self._settings.delivery.stages]

    def _preflight(self, stages: Sequence[str]) -> list[iam.PolicyStatement]:
        """Calls of `twin doctor`, besides lists and what is read of the stage anyway."""
        found = [
            allow("LookBeforeTheDeployment", PREFLIGHT, ("*",)),
            allow("SeeWhoIsAlerted", (SUBSCRIPTIONS,), [self._arns.topics(stage) for stage in stages]),
        ]
        image = self._model_image()
        return [*found, allow("SeeTheModelsImage", (IMAGE,), (image,))] if image else found

    def _model_image(self) -> str | None:
        """ARN of the repository with the LLM's container; None where AWS's registry is not known."""
        try:
            image = self._settings.llm.image_in(self._settings.region)
        except KeyError:
            return None
        registry, _, name = image.partition("/")
        repository = name.partition("@")[0].partition(":")[0]
        return self._arns.repository(registry.partition(".")[0], repository)

    def _list(self) -> iam.PolicyStatement:
        return allow("ProveThatNothingIsLeft", LISTS, ("*",))
