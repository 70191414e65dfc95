"""Names that stay the same for the life of a stage.

Stacks share them instead of exports where the resource behind a name may be replaced: CloudFormation refuses to replace
what another stack imports. Everything else is named by CloudFormation, so that a fixed name never blocks a replacement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

PROJECT = "llm-twin"
"""Value of the tag `project` on every resource."""
PREFIX = "twin-"
"""Start of the name of everything that belongs to a stage or to the account's pipeline."""
STACKS = ("network", "llm", "business", "evaluation", "guard")
"""Stacks of every stage, in the order of their deployment."""
OPTIONAL_STACKS = ("vectors",)
"""Stacks that only some settings have; they hold data."""
TASK_PROGRAMS = ("api", "ingest")
"""Programs that run as ECS tasks of the business stack."""
COPIES_DIMENSION = "sagemaker:inference-component:DesiredCopyCount"
"""What Application Auto Scaling scales of a model."""
DELIVERY = f"{PREFIX}delivery"
"""Prefix of everything that belongs to the account's pipeline, not to a stage."""
DELIVERY_STACK = DELIVERY
IMAGE_STACK = f"{PREFIX}image"
"""Stack of the account's image repository, and name of the CodeBuild project in it."""
BUILT_RELEASE = "RELEASE"
"""Variable of a build of the image: the tag to push, set by the start of the build."""
ACCOUNT_STACKS = (IMAGE_STACK, DELIVERY_STACK)
"""Stacks that belong to the account and to no stage."""
BOOTSTRAP_QUALIFIER = "hnb659fds"
"""Qualifier of the CDK bootstrap stack unless the settings name another; the CDK's own default."""


class _Llm(Protocol):
    @property
    def mode(self) -> str: ...


class StageSettings(Protocol):
    """The settings that names depend on."""

    @property
    def prefix(self) -> str: ...

    @property
    def llm(self) -> _Llm: ...


def stage_prefix(stage: str) -> str:
    """Prefix of the name of everything that belongs to a stage."""
    return f"{PREFIX}{stage}"


def parameter_path(stage: str) -> str:
    """Prefix of the names of a stage's parameters in Systems Manager."""
    return f"/twin/{stage}/"


def watermark_parameter(stage: str) -> str:
    """Parameter that holds the time up to which a stage's samples are judged."""
    return f"{parameter_path(stage)}evaluation/watermark"


def last_good_parameter(stage: str) -> str:
    """Parameter that holds the release to which a stage is rolled back."""
    return f"/{DELIVERY}/{stage}/last-good"


def bootstrap_parameter(qualifier: str) -> str:
    """Parameter that holds the version of the CDK bootstrap stack."""
    return f"/cdk-bootstrap/{qualifier}/version"


def served_component(settings: StageSettings) -> str | None:
    """The inference component that callers name; None for an endpoint that holds the model itself and refuses one."""
    return Names.of(settings).inference_component if settings.llm.mode == "inference-component" else None


@dataclass(frozen=True)
class Names:
    """Fixed names of one stage."""

    prefix: str

    @classmethod
    def of(cls, settings: StageSettings) -> Names:
        """The names of a stage."""
        return cls(settings.prefix)

    def stack(self, name: str) -> str:
        """Name of a stack, one of `STACKS` or `OPTIONAL_STACKS`."""
        return f"{self.prefix}-{name}"

    @property
    def endpoint(self) -> str:
        """Name of the SageMaker endpoint; its configuration and models change under it."""
        return f"{self.prefix}-llm"

    @property
    def inference_component(self) -> str:
        """Name of the inference component that serves the model."""
        return f"{self.prefix}-llm-model"

    def weights_bucket(self, account: str, region: str) -> str:
        """Bucket of the model's weights where no other is set; the name is one of all accounts and regions."""
        return f"{self.prefix}-weights-{account}-{region}"

    @property
    def judging(self) -> str:
        """Name of the state machine for long evaluations, which its own last step comes to need."""
        return f"{self.prefix}-judging"

    @property
    def dashboard(self) -> str:
        """The CloudWatch dashboard."""
        return f"{self.prefix}-overview"

    def task_definition(self, program: str) -> str:
        """Family of the ECS task definitions of a program, `api` or `ingest`."""
        return f"{self.prefix}-business-{program}"

    def fixed(self) -> tuple[str, ...]:
        """Every name that no stack chooses, but the bucket's, which also depends on account and region."""
        tasks = (self.task_definition(program) for program in TASK_PROGRAMS)
        return (self.endpoint, self.inference_component, self.judging, self.dashboard, *tasks)
