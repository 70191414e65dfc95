"""What a deployment to AWS has still to do, what that costs, and how long it takes."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from infra.names import STACKS
from infra.settings.deployment import DeploymentSettings, SettingsError, load_settings
from twin.ask.documents import documents_of
from twin.cost import one_off, stage_cost
from twin.cost.estimate import Estimate
from twin.cost.load import FULL, NAMES
from twin.cost.report import money
from twin.deploy.image.ensure import has_image, release_of
from twin.target.bootstrap import is_bootstrapped
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.stage import Stage

BOOTSTRAP, IMAGE, LAYER, DEPLOYMENT, INGEST, QUESTION = "bootstrap", "image", "layer", "stacks", "documents", "question"


@dataclass(frozen=True)
class Step:
    """One step of a deployment.

    Attributes:
        name: one of this module's.
        what: it does, for people.
        minutes: that it takes on AWS; estimates, of which none was measured there.
        hint: what to do when it fails, beyond what the failure says.
    """

    name: str
    what: str
    minutes: int
    hint: str


STEPS = (
    Step(BOOTSTRAP, "the CDK's roles and bucket in the account (stack CDKToolkit)", 2, "Its reason is the CDK's."),
    Step(IMAGE, "the service's image, built by CodeBuild in the account (stack twin-image)", 6, "Nothing else waits."),
    Step(LAYER, "the evaluation functions' Lambda layer, built on this machine", 3, "It needs Python's package index."),
    Step(
        DEPLOYMENT,
        "the stacks of the stage, its keys and secrets, and a look whether it is ready",
        30,
        "What is complete stays; CloudFormation takes back what failed.",
    ),
    Step(INGEST, "the documents into the vector store", 5, "It resumes where it ended."),
    Step(QUESTION, "the question, which wakes the model", 10, "`twin doctor` and docs/runbook.md say what to look at."),
)


@dataclass(frozen=True)
class Plan:
    """The steps that a deployment has still to take.

    Attributes:
        settings: of the stage.
        release: that it runs.
        account: its number.
        steps: in their order.
        is_new: whether something is made for the first time: the bootstrap, or a stack of the stage.
        documents: why documents are ingested, or not.
    """

    settings: DeploymentSettings
    release: str
    account: str
    steps: tuple[Step, ...]
    is_new: bool
    documents: str

    @property
    def minutes(self) -> int:
        """Of all steps together."""
        return sum(step.minutes for step in self.steps)

    def has(self, name: str) -> bool:
        """Whether a step is to be taken."""
        return any(step.name == name for step in self.steps)


def look(stage: Stage, question: str | None) -> Plan:
    """Look at the account and say what is to be done; changes nothing.

    Args:
        stage: on AWS.
        question: to be asked at the end, or None.

    Raises:
        TwinError: the credentials or the settings are wrong.
    """
    settings = _settings(stage)
    account = _account(stage, settings)
    release = release_of(settings)
    bootstrapped, deployed = is_bootstrapped(stage), _is_deployed(stage)
    source, documents = documents_of(stage, settings)
    wanted = {
        BOOTSTRAP: not bootstrapped,
        IMAGE: not has_image(stage, settings, release),
        LAYER: not settings.evaluation.platform_has_dependencies,
        DEPLOYMENT: True,
        # A workflow ingests by a step of its own.
        INGEST: source is not None and not in_ci(),
        QUESTION: question is not None,
    }
    steps = tuple(step for step in STEPS if wanted[step.name])
    return Plan(settings, release, account, steps, not (bootstrapped and deployed), documents)


def in_ci() -> bool:
    """Whether a workflow runs this: GitHub and most others set CI to `true` or 1."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def has_person() -> bool:
    """Whether a person is there to answer."""
    return not in_ci() and sys.stdin.isatty() and sys.stderr.isatty()


def lines(stage: Stage, plan: Plan) -> list[str]:
    """What a plan makes, where, how long that takes and what it costs, for people.

    Raises:
        TwinError: the templates cannot be synthesized.
    """
    steps = [f"  {number}. {step.what}, {step.minutes} min" for number, step in enumerate(plan.steps, 1)]
    return [
        f"Stage {stage.name} in account {plan.account}, {stage.region}, release {plan.release}:",
        *steps,
        plan.documents,
        f"About {plan.minutes} minutes, an estimate: the endpoint's GPU and CloudFront take longest.",
        *price(stage, plan),
    ]


def price(stage: Stage, plan: Plan) -> list[str]:
    """Sentences on the price of a stage: a month of each kind, an hour, and what is paid once.

    Raises:
        TwinError: the templates cannot be synthesized.
    """
    found = stage_cost.cost(stage_cost.templates(stage.name))
    months = ", ".join(f"{_NAMED[name]} {money(found.monthly(name))}" for name in NAMES)
    lines = [
        f"It costs in USD a month: {months}; an hour idle {found.hourly(NAMES[0]):.2f}, an hour at full load "
        f"{found.hourly(FULL):.2f} (`twin cost --stage {stage.name}` has each part).",
        *_ends(plan.settings, found),
    ]
    if plan.has(IMAGE):
        lines.append(one_off.image_build(stage.region))
    return lines


_NAMED = {"idle": "idle", "office": "in office hours", "full": "at full load"}


def _ends(settings: DeploymentSettings, found: Estimate) -> list[str]:
    guard = settings.guard
    if not guard.enabled:
        return ["Nothing ends it by itself."]
    return [f"The GPU is taken away {guard.ttl_hours} hours after this deployment (guard.ttl_hours)."]


def _settings(stage: Stage) -> DeploymentSettings:
    try:
        return load_settings(stage.name)
    except SettingsError as error:
        raise TwinError(str(error)) from None


def _account(stage: Stage, settings: DeploymentSettings) -> str:
    """The account of the credentials.

    Raises:
        TwinError: there are none, they are refused, or they are another account's.
    """
    try:
        account = str(stage.client("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise TwinError(
            f"AWS takes no credentials of this shell ({error}). Sign in (`aws sso login`, `aws configure`) or set "
            "AWS_PROFILE until `aws sts get-caller-identity` answers, then run the same command again."
        ) from None
    if settings.account is not None and settings.account != account:
        raise TwinError(
            f"Stage {stage.name} belongs to account {settings.account} (`account` in infra/config/{stage.name}.toml), "
            f"and these are the credentials of {account}. Set AWS_PROFILE to the other account's."
        )
    return account


def _is_deployed(stage: Stage) -> bool:
    """Whether every stack of the stage was once complete."""
    found = CloudFormation(stage).stage_stacks()
    complete = [each for each in found.values() if each.status.endswith("_COMPLETE") and _holds(each.status)]
    return len(complete) == len(STACKS)


def _holds(status: str) -> bool:
    return status not in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE")
